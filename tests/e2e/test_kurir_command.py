"""`kurir up`, `status` and `down` where something goes wrong: nothing stays behind, nothing is called ready that is not."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import time
from pathlib import Path

import nats
import pytest
from kurir.home import Home

from tests.e2e.test_demo import kurir


@pytest.fixture
def home(tmp_path):
    """Return a folder whose platform is stopped afterwards."""
    yield tmp_path / "kurir"
    kurir("down", home=tmp_path / "kurir")


def up(home):
    started = kurir("up", "--detach", home=home, KURIR_CHANNELS="email")
    assert started.returncode == 0, started.stderr
    return json.loads((home / "running.json").read_text())


def pids(state):
    return {part["pid"] for part in state["processes"].values()}


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_down_ends_every_process_and_up_starts_again(home):
    for _ in range(2):
        state = up(home)
        assert kurir("down", home=home).stdout.strip() == "stopped"
        assert not [pid for pid in pids(state) if alive(pid)]


def test_a_killed_supervisor_leaves_nothing_that_hinders_the_next(home):
    first = up(home)
    os.kill(first["pid"], signal.SIGKILL)
    second = up(home)
    assert not [pid for pid in pids(first) if alive(pid)]
    os.kill(second["pid"], signal.SIGKILL)
    while alive(second["pid"]):
        time.sleep(0.05)
    assert kurir("down", home=home).stdout.strip() == "stopped"
    assert not [pid for pid in pids(second) if alive(pid)]


def test_status_names_the_dependency_that_does_not_answer(home):
    store = up(home)["processes"]["store"]["pid"]
    os.kill(store, signal.SIGSTOP)
    try:
        found = kurir("status", "--json", home=home)
    finally:
        os.kill(store, signal.SIGCONT)
    assert found.returncode == 3
    services = json.loads(found.stdout)["services"]
    assert {name: service["ready"] for name, service in services.items()} == {
        "accounts": False, "campaigns": False, "channel-email": True,
    }  # fmt: skip
    assert "store: " in services["campaigns"]["trouble"]


def test_url_says_where_a_service_listens(home):
    assert "not up" in kurir("url", "accounts", home=home).stderr
    state = up(home)
    assert kurir("url", "accounts", home=home).stdout.strip() == state["services"]["accounts"]
    assert "there is: accounts, campaigns, channel-email" in kurir("url", "fax", home=home).stderr


def test_a_port_that_was_taken_is_told_in_one_line_and_in_status(home):
    with socket.socket() as taken:
        with contextlib.suppress(OSError):  # another platform may have it: taken all the same
            taken.bind(("127.0.0.1", 8001))
            taken.listen()
        started = kurir("up", "--detach", home=home, KURIR_CHANNELS="email")
    port = json.loads((home / "running.json").read_text())["services"]["accounts"].rpartition(":")[2]
    said = f"accounts is on {port} (8001 was taken)"
    assert [said in line for line in started.stdout.splitlines() if "was taken" in line] == [True]
    shown = kurir("status", home=home).stdout
    assert [said in line for line in shown.splitlines() if "was taken" in line] == [True]
    found = json.loads(kurir("status", "--json", home=home).stdout)
    assert found["moved_ports"]["accounts"] == [8001, int(port)]


def test_no_log_holds_a_token(home):
    up(home)
    assert kurir("logs", home=home).stdout
    assert not [file for file in (home / "logs").iterdir() if "eyJ" in file.read_text()]


async def test_a_bus_that_would_lose_data_is_refused_in_one_line(home):
    nats_url = up(home)["nats_url"]
    connection = await nats.connect(nats_url)
    jetstream = connection.jetstream()
    held = (await jetstream.stream_info("INBOX")).config
    held.subjects = [*(held.subjects or []), "somebody.elses"]
    await jetstream.update_stream(held)
    await jetstream.publish("somebody.elses", b"kept")
    await connection.close()
    refused = kurir("topology", "apply", home=home)
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: ")
    assert "INBOX" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert kurir("topology", "check", home=home).returncode == 3


async def test_a_dead_letter_is_listed_shown_replayed_and_dropped(home):
    state = up(home)
    connection = await nats.connect(state["nats_url"])
    await connection.jetstream().publish("inbox.email.acc_x.sent.v1", b"nonsense")
    (first,) = await letters(home, 1)
    assert first["subject"] == "inbox.email.acc_x.sent.v1"
    assert "malformed" in first["error"]
    assert "inbox.email.acc_x.sent.v1" in kurir("dlq", "list", home=home).stdout
    assert "nonsense" not in kurir("dlq", "show", "1", home=home).stdout
    assert "nonsense" in kurir("dlq", "show", "1", "--content", home=home).stdout
    replayed = kurir("dlq", "replay", "1", home=home)
    assert (replayed.returncode, replayed.stdout) == (0, "replayed 1 to inbox.email.acc_x.sent.v1\n")
    (again,) = await letters(home, 2)  # still nonsense: campaigns puts it aside once more
    assert kurir("dlq", "drop", str(again["sequence"]), "--yes", home=home).returncode == 0
    assert kurir("dlq", "list", home=home).stdout == "no dead letters\n"
    in_one_line(kurir("dlq", "show", "1", home=home), "there is no dead letter 1")
    command = {
        "id": "order-1", "source": "crm", "account_id": "acc_x", "not_after": "2026-01-01T00:00:00Z",
        "to": {"address": "siti@example.com"}, "content": {"text": "t"},
    }  # fmt: skip
    await connection.jetstream().publish("dlq.cmd.email.acc_x.send.now.v1", json.dumps(command).encode())
    await connection.close()
    refused = kurir("dlq", "replay", "--subject", "cmd.*.*.send.>", home=home)
    in_one_line(refused, "POST /v1/outbox/crm.order-1/retry")
    kurir("down", home=home)
    in_one_line(kurir("dlq", "list", home=home), "no bus")
    in_one_line(kurir("dlq", "list", "--nats-url", state["nats_url"], home=home), "no NATS server answers")


def in_one_line(ended, said):
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1), ended.stderr
    assert ended.stderr.startswith("error: ")
    assert said in ended.stderr


async def letters(home, sequence):
    """Return what is listed once it has come so far."""
    for _ in range(100):
        found = json.loads(kurir("dlq", "list", "--json", home=home).stdout)["items"]
        if found and found[-1]["sequence"] >= sequence:
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(f"no dead letter {sequence}")


def test_a_log_that_is_too_large_is_set_aside(home, monkeypatch):
    monkeypatch.setenv("KURIR_LOG_MAX_MB", "1")
    Home(home).open()
    (home / "logs/campaigns.log").write_bytes(b"x" * 1_000_001)
    up(home)
    until = time.monotonic() + 10
    while not (home / "logs/campaigns.log.1").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert b"NATS is connected" in (home / "logs/campaigns.log.1").read_bytes()
    assert (home / "logs/campaigns.log").stat().st_size < 1_000_000
