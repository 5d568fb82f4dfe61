"""The service as a process of its own: it sends, its browser or it itself dies or freezes, and it comes back."""

import os
import signal
import sys
import urllib.request

import orjson
import psutil
import pytest
import pytest_asyncio
from channel_whatsapp.parts import message_id
from channelkit.suite.rig import QUICK, Rig, eventually
from contracts import subjects
from contracts.ids import platform_key
from contracts.state import SessionStatus

from tests.integration.channel_whatsapp.test_contract import WhatsAppWorld
from tests.support.processes import Server, free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")
COUNT = 40


@pytest_asyncio.fixture(loop_scope="module")
async def rig(fresh_nats, whatsapp, settings):
    await whatsapp.reset()
    await whatsapp.put_range("+628110000000", 10)
    world = WhatsAppWorld(whatsapp, settings)
    made = world.rig = Rig(fresh_nats.url, world)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def service(rig, practice, tmp_path, monkeypatch):
    port = free_port()
    quick = {f"CHANNEL_WHATSAPP_{name.upper()}": str(value) for name, value in QUICK.items()}
    for name, value in {
        **quick,
        "NATS_URL": rig.settings.nats_url,
        "KURIR_SEALING_KEYS": rig.settings.sealing_keys.get_secret_value(),
        "KURIR_ADDRESS_HMAC_KEYS": rig.settings.address_hmac_keys.get_secret_value(),
        "KURIR_PRACTICE": "true",
        "KURIR_FAILPOINTS": "",
        "CHANNEL_WHATSAPP_PORT": str(port),
        "CHANNEL_WHATSAPP_HOST": "127.0.0.1",
        "CHANNEL_WHATSAPP_PAGE_URL": practice["page_url"],
        "CHANNEL_WHATSAPP_PROFILES": str(tmp_path / "profiles"),
        "CHANNEL_WHATSAPP_SEND_TIMEOUT_SECONDS": "4",
        "CHANNEL_WHATSAPP_SETTLE_SECONDS": "0.1",
        "CHANNEL_WHATSAPP_RESTART_SECONDS": "0.2",
        "CHANNEL_WHATSAPP_BEAT_EVERY_SECONDS": "1",
        "CHANNEL_WHATSAPP_BEAT_TIMEOUT_SECONDS": "3",
    }.items():
        monkeypatch.setitem(os.environ, name, value)
    command = [sys.executable, "-m", "channel_whatsapp.main"]
    server = Server("channel-whatsapp", command, port, tmp_path / "service.log", lambda port: health(port, "/readyz"))
    server.profiles = str(tmp_path / "profiles")
    server.start()
    yield server
    server.process.terminate()
    server.process.wait(30)
    for process in browsers(server):
        process.kill()


def health(port, path="/healthz"):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return orjson.loads(answer.read())


def browsers(service):
    found = psutil.process_iter(["cmdline"])
    return [p for p in found if any(service.profiles in part for part in p.info["cmdline"] or [])]


async def test_killed_and_frozen_in_the_middle_nothing_is_lost_or_doubled(rig, service, whatsapp):
    """The browser, its page, then the service itself: every row ends, and what is unknown was told so by nobody."""
    await rig.log_in("acc")
    await eventually(
        lambda: _kept(rig), 60, "the login to be in the vault: what a browser has just written may be lost"
    )
    await whatsapp.put_range("+628120000000", 300, acts="receive")
    commands = [rig.command("acc") for _ in range(COUNT)]
    await rig.send(*commands)
    phone = rig.world.phone("acc")
    for share, strike in (
        (0.2, lambda: next(iter(browsers(service))).kill()),  # which one, is seen when it strikes
        (0.4, lambda: whatsapp.trouble(phone, freeze_seconds=60)),
        (0.6, lambda: whatsapp.trouble(phone, crash=True)),
        (0.8, service.kill),
    ):
        await eventually(lambda share=share: _arrived(whatsapp, share * COUNT), 90, f"{share:.0%} to arrive")
        done = strike()
        if done is not None:
            await done
    service.start()

    async def ended():
        events = await rig.events("acc")
        found = {event["row"]: what for what, event in events if what in {"sent", "failed", "unknown"}}
        return found if len(found) == COUNT else None

    ends = await eventually(ended, 120, "every row to end")
    counts = await whatsapp.counts()
    unknown = [row for row, what in ends.items() if what == "unknown"]
    assert counts["duplicates"] == 0
    assert "failed" not in ends.values()
    assert COUNT - len(unknown) <= counts["received"] <= COUNT
    assert len(unknown) <= 4  # at most the one message that was out at each strike
    assert health(service.port)["sessions"]["whatsapp/acc"]["status"] == "ready"


async def _kept(rig):
    return "acc.vault" in await rig.keys("cursors")


async def _arrived(whatsapp, wanted):
    return (await whatsapp.counts())["received"] >= wanted


POINTS = {
    "lane.after_claim": ("unknown", [0, 0]),  # nobody can tell any more that it had not been handed over
    "lane.after_part": ("unknown", [1, 0]),
    "lane.after_send": ("sent", [1, 1]),  # the page is asked, and knows
}
"""Where the service is killed → the row's end, and how often its two bubbles arrived."""


async def test_killed_at_a_point_the_row_ends_and_nothing_goes_out_twice(rig, service, whatsapp, pytestconfig):
    points = POINTS if pytestconfig.getoption("--full", default=False) else ["lane.after_send"]
    await rig.log_in("acc")
    await eventually(lambda: _kept(rig), 60, "the login to be in the vault")
    await whatsapp.put_range("+628120000000", 300, acts="receive")
    for point in points:
        end, arrived = POINTS[point]
        service.process.terminate()
        service.process.wait(30)
        os.environ["KURIR_FAILPOINTS"] = f"{point}=kill@1"  # put back with the service's other variables
        service.start()
        command = rig.command("acc", content={"text": "satu", "bubbles": ["dua"]})
        await rig.send(command)
        await eventually(lambda: _dead(service), 60, f"the service to die at {point}")
        os.environ["KURIR_FAILPOINTS"] = ""
        service.kill()
        service.start()
        event = await rig.end(command, "sent", "unknown", "failed", seconds=90)
        wanted = [message_id(platform_key(command.row, 0, part)) for part in range(2)]
        counts = (await whatsapp.counts_by_message_id(wanted))["counts"]
        assert [counts.get(one, 0) for one in wanted] == arrived, point
        assert [what for what, _ in await rig.ends(command)] == [end], point
        assert event.get("platform_ids", wanted) == wanted


async def _dead(service):
    return service.process.poll() is not None


async def test_sigterm_ends_it_with_its_browsers_and_the_log_holds_no_secret(rig, service, whatsapp):
    await rig.want("acc")
    state = await rig.reach("acc", SessionStatus.AWAITING_QR, seconds=60)
    assert state.challenge
    await rig.world.scan("acc")
    await rig.reach("acc", SessionStatus.READY, seconds=60)
    command = rig.command("acc")
    await rig.send(command)
    await rig.end(command, "sent")
    service.process.terminate()
    assert service.process.wait(20) in {0, -signal.SIGTERM}  # uvicorn ends by the signal it was given
    assert not browsers(service)
    lines = [orjson.loads(data)["text"] for _, data in await rig.stored("EVENTS", subjects.log("whatsapp", "acc"))]
    assert "WhatsApp Automation is ready" in lines
    log = service.log.read_text()
    assert command.content.text not in log
    assert command.to.address not in log
    assert command.to.address[1:] not in log
    assert not [one for one in rig.world.scanned if one in log]
