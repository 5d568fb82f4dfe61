"""Accounts and the real e-mail channel, each a process of its own, on the practice mail system."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from contracts.state import SessionStatus
from practice.client import MailClient
from practice.mail.process import running

from tests.support.processes import free_port

from .conftest import Service, eventually, prepare, ready, serve

ADDRESS, SECRET = "toko@practice.test", "practice-mail-password"


@contextlib.contextmanager
def email_channel(service: Service, log: Path) -> Iterator[None]:
    """Run channel-email beside the service until the block ends."""
    settings = service.settings
    env = os.environ | {
        "NATS_URL": settings.nats_url,
        "KURIR_SEALING_KEYS": settings.sealing_keys.get_secret_value(),
        "KURIR_ADDRESS_HMAC_KEYS": "practice-address-key",
        "KURIR_PRACTICE": "true",
        "CHANNEL_EMAIL_HOST": "127.0.0.1",
        "CHANNEL_EMAIL_SWEEP_SECONDS": "1",
        "CHANNEL_EMAIL_PORT": str(free_port()),
    }
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "channel_email.main"], env=env, stdout=out, stderr=out)
        try:
            yield
        finally:
            process.kill()
            process.wait()


@pytest.fixture
async def mail():
    async with running() as platform, MailClient(platform.ports.api_url) as client:
        await client.put_account(ADDRESS, SECRET)
        yield platform


@pytest.fixture
async def office(fresh_nats, settings):
    settings = settings.model_copy(update={"practice": True})
    await prepare(fresh_nats.url, settings)
    async for service in serve(settings):
        yield await ready(service)


def login(mail: Any, password: str = SECRET) -> dict[str, Any]:
    server = {"host": "localhost", "security": "starttls", "username": ADDRESS}
    smtp = server | {"port": mail.ports.smtp, "from_address": ADDRESS}
    settings = {"smtp": smtp, "imap": None, "ca_file": mail.ports.cert_file}
    return {"settings": settings, "credentials": {"smtp_password": password}}


async def test_the_life_of_an_account(office: Service, mail: Any, tmp_path: Path):
    log = tmp_path / "channel-email.log"
    with email_channel(office, log):

        async def tested(password: str) -> dict[str, Any] | None:
            answer = await office.http.post("/v1/channels/email/test", json=login(mail, password))
            return answer.json() if answer.status_code == 200 else None

        assert (await eventually(lambda: tested(SECRET), 20))["ok"] is True
        wrong = await tested("wrong")
        assert (wrong["ok"], wrong["steps"][-1]["ok"]) == (False, False)
        assert "535" in wrong["steps"][-1]["detail"]
        assert "535" in wrong["detail"]

        made = await office.create(**login(mail, "wrong"))
        path = f"/v1/accounts/{made['id']}"

        async def status(*wanted: SessionStatus) -> str | None:
            found = (await office.http.get(f"{path}/session")).json()["status"]
            return found if found in wanted else None

        await eventually(lambda: status(SessionStatus.FAILED), 20)
        await office.http.patch(path, json={"credentials": {"smtp_password": SECRET}, "version": 1})
        await eventually(lambda: status(SessionStatus.READY), 20)

        async def green() -> bool:
            found = (await office.http.get("/v1/accounts", params={"status": "ready"})).json()["items"]
            return [(a["dot"], a["session"]["identity"]) for a in found] == [("ready", ADDRESS)]

        await eventually(green)

        async def logged() -> bool:
            lines = (await office.http.get(f"{path}/logs", params={"q": "Automation is ready"})).json()["items"]
            return bool(lines)

        await eventually(logged)
        await office.http.put(f"{path}/worker", json={"on": False})
        await eventually(lambda: worker_is(office, path, "off"))
        await office.http.post(f"{path}/deactivate")
        await eventually(lambda: status(SessionStatus.OFF), 20)
        await office.http.post(f"{path}/activate")
        await eventually(lambda: status(SessionStatus.READY), 20)
        await office.http.delete(path)

        async def gone() -> bool:
            return (await office.http.get(path)).status_code == 404

        await eventually(gone, 20)
        assert await office.desired.get(made["id"]) is None

        async def forgotten() -> bool:
            return await office.sessions.get(made["id"]) is None

        await eventually(forgotten, 20)
        assert SECRET not in log.read_text()


async def worker_is(service: Service, path: str, wanted: str) -> bool:
    return (await service.http.get(f"{path}/session")).json()["worker"] == wanted
