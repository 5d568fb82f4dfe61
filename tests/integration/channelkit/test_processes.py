"""A channel service as a process, with the times of production: health, SIGTERM, SIGKILL."""

import asyncio
import sys
import time
from pathlib import Path

import httpx
import pytest
from channelkit.fake import FakePlatform
from channelkit.suite.rig import Rig, eventually
from contracts.state import SessionStatus

from tests.integration.channelkit.test_fake_channel import FakeWorld
from tests.support.processes import Server, free_port

SERVICE = Path(__file__).with_name("fake_service.py")


def answers(port):
    httpx.get(f"http://127.0.0.1:{port}/livez", timeout=1).raise_for_status()


@pytest.fixture
async def rig(fresh_nats):
    made = Rig(fresh_nats.url, FakeWorld(FakePlatform()))
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def service(rig, tmp_path):
    started = []

    def start():
        port, key = free_port(), rig.settings.sealing_keys.get_secret_value()
        command = [sys.executable, str(SERVICE), str(port), rig.settings.nats_url, key]
        made = Server("fake-service", command, port, tmp_path / f"service{len(started)}.log", answers)
        made.start()
        started.append(made)
        return made

    yield start
    for made in started:
        made.stop()


async def moved(rig, old):
    state = await rig.state("acc")
    return state if state and state.replica != old.replica and state.status == SessionStatus.READY else None


async def test_health_names_the_session_and_sigterm_ends_quickly(rig, service):
    process = service()
    await rig.want("acc")
    await rig.reach("acc", SessionStatus.READY)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{process.port}") as http:
        report = (await http.get("/healthz")).json()
        assert (await http.get("/readyz")).status_code == 200
        assert "telegram/acc" not in (await http.get("/livez")).text
    session = report["sessions"]["telegram/acc"]
    assert session["status"] == "ready"
    assert session["last_proof_of_life"]
    child, started = process.process, time.monotonic()
    child.terminate()
    assert await asyncio.to_thread(child.wait, 15) in (0, -15)
    assert time.monotonic() - started < 10
    leases = await rig.bus.js.get_last_msg("KV_leases_telegram", "$KV.leases_telegram.acc")
    assert b"_free" in leases.data


async def test_a_lease_moves_within_twenty_seconds_of_a_sigkill(rig, service):
    first = service()
    await rig.want("acc")
    old = await rig.reach("acc", SessionStatus.READY)
    service()
    await asyncio.sleep(3)
    first.kill()
    started = time.monotonic()
    await eventually(lambda: moved(rig, old), 21, "the heir")
    assert time.monotonic() - started < 20


async def test_a_frozen_holder_that_thaws_does_not_hold_any_more(rig, service):
    first = service()
    await rig.want("acc")
    old = await rig.reach("acc", SessionStatus.READY)
    service()
    await asyncio.sleep(3)
    first.freeze()
    heir = await eventually(lambda: moved(rig, old), 21, "the heir")
    first.thaw()
    await asyncio.sleep(4)
    assert (await rig.state("acc")).replica == heir.replica
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{first.port}") as http:
        assert "telegram/acc" not in (await http.get("/healthz")).json()["sessions"]
