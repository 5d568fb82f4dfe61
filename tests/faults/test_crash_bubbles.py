"""A chat channel dies between two bubbles of one message: e-mail has none, so the kit's fake channel sends them, as a process."""

import asyncio
import signal
import sys
from pathlib import Path

import httpx
import pytest
from channelkit.fake import FakePlatform
from channelkit.suite.rig import Rig, eventually
from contracts.commands import Content
from contracts.state import SessionStatus

from tests.integration.channelkit.test_fake_channel import FakeWorld
from tests.support import crash
from tests.support.crash_cases import BUBBLES
from tests.support.processes import Server, free_port

SERVICE = Path(__file__).with_name("chat_service.py")
pytestmark = pytest.mark.full


def answers(port):
    httpx.get(f"http://127.0.0.1:{port}/livez", timeout=1).raise_for_status()


@pytest.fixture
async def rig(fresh_nats):
    made = Rig(fresh_nats.url, FakeWorld(FakePlatform()))
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def service(rig, tmp_path, case, monkeypatch):
    """The channel's process, armed, with the platform the case asks for."""
    port, key, book = free_port(), rig.settings.sealing_keys.get_secret_value(), tmp_path / "book"
    copies = ["copies"] if case.state == "unknown" else []
    command = [sys.executable, str(SERVICE), str(port), rig.settings.nats_url, key, str(book), *copies]
    made = Server("chat-service", command, port, tmp_path / "service.log", answers)
    with monkeypatch.context() as armed:
        armed.setenv("KURIR_FAILPOINTS", case.setting)
        made.start()
    yield made
    made.stop()


@pytest.mark.parametrize("case", crash.chosen(BUBBLES))
async def test_dying_between_two_bubbles(rig, service, tmp_path, case, record_property):
    await rig.want("acc")
    await rig.reach("acc", SessionStatus.READY)
    command = rig.command("acc", content=Content(text="one", bubbles=["two", "three"]))
    await rig.send(command)
    assert await asyncio.to_thread(service.process.wait, 20) == -signal.SIGKILL
    service.start()
    await rig.end(command, case.state, seconds=30)
    await eventually(lambda: emptied(rig), 20, "the command to be acknowledged")
    took = [line.split()[2] for line in (tmp_path / "book").read_text("utf-8").splitlines()]
    assert took == (["one", "two", "three"] if case.state == "sent" else ["one"])
    assert {what for what, _ in await rig.ends(command)} == {case.state}
    record_property("crash", [case.name, crash.told(case, [took.count("one")])])


async def emptied(rig):
    return await rig.waiting("acc") == 0
