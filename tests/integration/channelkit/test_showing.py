"""What a person has to see lies sealed beside the state, and no longer than it is of use; on a real NATS."""

import asyncio
from datetime import timedelta

import pytest
from channelkit.protocol import Shown
from channelkit.reporting import Reporter
from channelkit.showing import MAX_BYTES
from channelkit.suite.rig import eventually
from contracts import sealing, subjects
from contracts.state import Challenge, SessionState, SessionStatus, ShownChallenge
from servicekit import stream_reader
from servicekit.clock import utcnow
from servicekit.errors import TooLarge
from servicekit.kv import Bucket, BucketWatch

from .test_hosting import CHANNEL, host, kit, new_host

__all__ = ["host", "kit"]
QR = b"2@secret-of-a-login,key,key"
KEY = "acc.shown"


def challenge(name: str, seconds: float = 60.0) -> Challenge:
    return Challenge(id=name, kind="qr", expires_at=utcnow() + timedelta(seconds=seconds))


@pytest.fixture
def shown(kit):
    return Bucket(kit.bus, subjects.bucket("sessions", CHANNEL), ShownChallenge)


async def test_a_qr_code_lies_sealed_and_rotates_and_goes_with_its_state(kit, host, shown):
    await host.report(SessionStatus.AWAITING_QR, challenge=challenge("q1"), shown=Shown("qr", QR))
    first = await shown.get(KEY)
    assert (first.value.challenge_id, first.value.kind) == ("q1", "qr")
    assert kit.sealer.open(first.value.sealed, sealing.shown("acc")) == QR
    await host.report(SessionStatus.AWAITING_QR, challenge=challenge("q2"), shown=Shown("qr", b"2@next"))
    second = await shown.get(KEY)
    assert kit.sealer.open(second.value.sealed, sealing.shown("acc")) == b"2@next"
    await host.report(SessionStatus.READY)
    assert await shown.get(KEY) is None


async def test_it_is_written_before_the_state_that_speaks_of_it(kit, host):
    await host.report(SessionStatus.AWAITING_QR, challenge=challenge("q1"), shown=Shown("qr", QR))
    bucket = f"KV_{subjects.bucket('sessions', CHANNEL)}"
    written = [m.subject.rpartition(".")[2] async for m in stream_reader.read(kit.bus.js, bucket, "$KV.*.>")]
    assert written == ["shown", "acc"]


async def test_it_leaves_by_itself_when_its_challenge_expires(host, shown):
    await host.report(SessionStatus.AWAITING_QR, challenge=challenge("q1", 1.5), shown=Shown("qr", QR))
    assert await shown.get(KEY)

    async def gone() -> bool:
        return await shown.get(KEY) is None

    await eventually(gone)


async def test_a_screenshot_without_an_end_of_its_own_lasts_ten_minutes(host, shown):
    person = Challenge(id="p1", kind="person", hint="Log in with a passkey")
    picture = Shown("image/png", b"\x89PNG a page")
    await host.report(SessionStatus.AWAITING_PERSON, "passkey", challenge=person, shown=picture)
    entry = await shown.get(KEY)
    assert timedelta(minutes=9) < entry.value.expires_at - utcnow() <= timedelta(minutes=10)
    assert "a page" not in repr(picture)


async def test_the_same_challenge_keeps_its_picture_and_another_one_without_does_not(host, shown):
    asked = challenge("q1")
    await host.report(SessionStatus.AWAITING_QR, challenge=asked, shown=Shown("qr", QR))
    await host.report(SessionStatus.AWAITING_QR, "the phone is slow", challenge=asked)
    assert await shown.get(KEY)
    await host.report(SessionStatus.AWAITING_CODE, challenge=Challenge(id="c1", kind="code"))
    assert await shown.get(KEY) is None


async def test_the_next_holder_removes_what_a_dead_one_showed(kit, host, shown):
    await host.report(SessionStatus.AWAITING_QR, challenge=challenge("q1"), shown=Shown("qr", QR))
    heir = Reporter(kit.bus, kit.journal, CHANNEL, "acc", "heir", sealer=kit.sealer)
    await heir.load()
    heir.change(SessionStatus.CONNECTING)
    assert await heir.flush()
    assert await shown.get(KEY) is None


async def test_a_watch_of_the_states_does_not_hear_of_it(kit, host):
    heard: list[str] = []
    watch = BucketWatch(
        kit.bus, kit.sessions.name, SessionState, lambda key, _value, _revision: heard.append(key), keys="*"
    )
    task = asyncio.create_task(watch.run())
    await watch.ready.wait()
    await host.report(SessionStatus.AWAITING_QR, challenge=challenge("q1"), shown=Shown("qr", QR))
    await host.report(SessionStatus.READY)

    async def ready() -> bool:
        return "acc" in watch.state and watch.state["acc"][0].status is SessionStatus.READY

    await eventually(ready)
    task.cancel()
    assert set(heard) == {"acc"}


async def test_neither_event_nor_log_line_nor_state_holds_the_text_and_rotation_writes_one_line(kit, host):
    for n in range(3):
        await host.report(SessionStatus.AWAITING_QR, challenge=challenge(f"q{n}"), shown=Shown("qr", QR))
    writing = asyncio.create_task(kit.journal.run())
    await kit.journal.flush(20)
    writing.cancel()
    streams = ("EVENTS", f"KV_{subjects.bucket('sessions', CHANNEL)}")
    stored = []
    for stream in streams:
        stored += [m async for m in stream_reader.read(kit.bus.js, stream, ">")]
    assert stored
    assert not [m.subject for m in stored if QR in m.data]
    assert len([m for m in stored if m.subject == subjects.log(CHANNEL, "acc")]) == 1
    assert len([m for m in stored if m.subject == subjects.session(CHANNEL, "acc")]) == 3


async def test_what_is_too_large_to_show_is_refused_before_anything_changes(host):
    huge = Shown("image/png", bytes(MAX_BYTES + 1))
    with pytest.raises(TooLarge):
        await host.report(SessionStatus.AWAITING_PERSON, shown=huge)
    await host.report(SessionStatus.AWAITING_PERSON, "as large as may be", shown=Shown("image/png", bytes(MAX_BYTES)))
    assert (await new_host(host._kit)._kit.sessions.get("acc")).value.reason == "as large as may be"
