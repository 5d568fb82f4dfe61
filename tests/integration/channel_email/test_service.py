"""The service as a process of its own: it starts, sends, dies and comes back."""

import os
import signal
import sys
import urllib.request

import orjson
import pytest
from channelkit.suite.rig import Rig, eventually
from contracts.state import SessionStatus

from tests.integration.channel_email.test_contract import MailWorld
from tests.support.processes import Server, free_port

COUNT = 300


@pytest.fixture
async def rig(fresh_nats, mail):
    made = Rig(fresh_nats.url, MailWorld(mail))
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def service(rig, tmp_path, monkeypatch):
    port = free_port()
    for name, value in {
        "NATS_URL": rig.settings.nats_url,
        "KURIR_SEALING_KEYS": rig.settings.sealing_keys.get_secret_value(),
        "KURIR_ADDRESS_HMAC_KEYS": rig.settings.address_hmac_keys.get_secret_value(),
        "KURIR_PRACTICE": "true",
        "CHANNEL_EMAIL_PORT": str(port),
        "CHANNEL_EMAIL_HOST": "127.0.0.1",
        "CHANNEL_EMAIL_SEND_TIMEOUT_SECONDS": "3",
    }.items():
        monkeypatch.setitem(os.environ, name, value)
    command = [sys.executable, "-m", "channel_email.main"]
    server = Server("channel-email", command, port, tmp_path / "service.log", lambda port: health(port, "/readyz"))
    server.start()
    yield server
    server.kill()


def health(port, path="/healthz"):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
        return orjson.loads(answer.read())


async def test_sigkill_in_the_middle_doubles_nothing_and_every_row_ends(rig, service, mail):
    connections = 4
    await rig.want("acc", pace={"connections": connections})
    await rig.reach("acc", SessionStatus.READY)
    assert health(service.port)["sessions"]["email/acc"]["status"] == "ready"
    commands = [rig.command("acc") for _ in range(COUNT)]
    await rig.send(*commands)

    async def underway():
        return (await mail.client.counts())["received"] > COUNT / 10

    await eventually(underway, 20, "some to arrive")
    service.kill()
    service.start()

    async def ended():
        events = await rig.events("acc")
        found = {event["row"]: what for what, event in events if what in ("sent", "failed", "unknown")}
        return found if len(found) == COUNT else None

    ends = await eventually(ended, 60, "every row to end")
    unknown = [row for row, what in ends.items() if what == "unknown"]
    counts = await mail.client.counts()
    assert counts["duplicates"] == 0
    assert counts["violations"] == 0
    assert len(unknown) <= connections
    assert "failed" not in ends.values()
    assert COUNT - len(unknown) <= counts["received"] <= COUNT


async def test_sigterm_ends_it_quickly_and_the_log_holds_no_secret(rig, service):
    await rig.log_in("acc")
    command = rig.command("acc")
    await rig.send(command)
    await rig.end(command, "sent")
    service.process.terminate()
    assert service.process.wait(12) in (0, -signal.SIGTERM)  # uvicorn ends by the signal it was given
    log = service.log.read_text()
    assert "secret" not in log
    assert command.content.text not in log
    assert command.to.address not in log
