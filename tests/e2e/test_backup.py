"""The backup that the operators' page describes brings everything back but the bus's commands and ledger."""

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from tests.e2e.test_demo import kurir

PAGE = Path(__file__).parents[2] / "docs/operating.md"


@pytest.fixture
def home(tmp_path):
    """Return a folder whose platform is stopped afterwards."""
    yield tmp_path / "kurir"
    kurir("down", home=tmp_path / "kurir")


class Shop:
    """A running platform over REST."""

    def __init__(self, home) -> None:
        started = kurir("up", "--practice", "--detach", home=home, KURIR_CHANNELS="email")
        assert started.returncode == 0, started.stderr
        self.state = json.loads((home / "running.json").read_text())
        bearer = {"Authorization": f"Bearer {kurir('token', home=home).stdout.strip()}"}
        self.http = httpx.Client(headers=bearer, timeout=30)

    def call(self, method, service, path, **options):
        answer = self.http.request(method, self.state["services"][service] + path, **options)
        assert answer.is_success, answer.text
        return answer.json()

    def until(self, wanted, *call):
        deadline = time.monotonic() + 60
        while (found := wanted(self.call("GET", *call))) is None:
            assert time.monotonic() < deadline, call
            time.sleep(0.3)
        return found

    def settings(self):
        mail = self.state["practice_platforms"]["mail"]
        smtp = {"host": "localhost", "security": "starttls", "port": mail["smtp_port"]}
        return {"smtp": smtp | {"from_address": "halo@practice.test"}, "imap": None, "ca_file": mail["ca_file"]}

    def account(self):
        body = {
            "name": "Toko", "channel": "email", "pace": {"per_second": 0.5}, "credentials": {"smtp_password": "secret"},
            "settings": self.settings(),
        }  # fmt: skip
        return self.call("POST", "accounts", "/v1/accounts", json=body)["id"]

    def campaign(self, account, people):
        contacts = self.call("POST", "campaigns", "/v1/lists", json={"name": "L"})["id"]
        text = "name,email\n" + "".join(f"P{i},p{i}@practice.test\n" for i in range(people))
        begun = self.call("POST", "campaigns", f"/v1/contacts/imports?lists={contacts}", content=text)["id"]
        self.until(lambda one: one["status"] == "done" or None, "campaigns", f"/v1/contacts/imports/{begun}")
        body = {
            "name": "K", "channel": "email", "accounts": [account], "lists": [contacts], "subject": "S", "text": "T",
        }  # fmt: skip
        made = self.call("POST", "campaigns", "/v1/campaigns", json=body)["id"]
        self.call("POST", "campaigns", f"/v1/campaigns/{made}/process")
        return made


def test_what_the_page_says_about_a_backup_is_so(home, tmp_path):
    shop = Shop(home)
    account = shop.account()
    shop.call("POST", "campaigns", "/v1/suppressions", json={"channel": "email", "address": "p3@practice.test"})
    campaign = shop.campaign(account, 20)
    shop.until(lambda one: one["counts"].get("sent", 0) > 1 or None, "campaigns", f"/v1/campaigns/{campaign}")
    kurir("down", home=home)
    command = re.search(r'^cd "\$KURIR_HOME" && tar.*?\n.*?$', PAGE.read_text("utf-8"), re.MULTILINE).group()
    here = {**os.environ, "KURIR_HOME": str(home), "HOME": str(tmp_path)}
    subprocess.run(["bash", "-ec", command], env=here, check=True)
    shutil.rmtree(home)
    home.mkdir()
    subprocess.run(["tar", "-xzf", next(tmp_path.glob("*.tar.gz")), "-C", home], check=True)
    shop = Shop(home)
    path = f"/v1/accounts/{account}"
    version = shop.call("GET", "accounts", path)["version"]  # the practice server may listen elsewhere by now
    shop.call("PATCH", "accounts", path, json={"version": version, "settings": shop.settings()})
    ready = shop.until(lambda one: one if one["status"] == "ready" else None, "accounts", f"{path}/session")
    assert ready["identity"] == "halo@practice.test"  # so its password could be opened
    found = shop.until(
        lambda one: one if one["status"] == "paused" and not one["counts"].get("queued") else None,
        "campaigns", f"/v1/campaigns/{campaign}",
    )  # fmt: skip
    assert found["attention"]["reason"] == "bus_lost"
    assert found["counts"]["unknown"] >= 1
    assert found["counts"]["cancelled"] == 1
    assert sum(found["counts"].get(s, 0) for s in ("pending", "sent", "unknown", "cancelled")) == 20
    assert httpx.get(f"{shop.state['practice_platforms']['mail']['api']}/messages").json() == []
