"""What a lane lets through and what it holds back: worker, pace, caps, expiry, suppressions, unreadable commands."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from channelkit.lane import drain
from contracts import subjects
from contracts.commands import Content, SendMessage
from contracts.inbox import Cancelled, Failed, Sent
from contracts.state import LaneState
from servicekit.kv import Bucket
from servicekit.settings import ServiceSettings

from tests.integration.channelkit.lane_support import ACCOUNT, CHANNEL, World, command, doing, world_on
from tests.support.servers import NatsServer

BULK = subjects.send(CHANNEL, ACCOUNT, "bulk")


@pytest.fixture
async def world(fresh_nats: NatsServer, service_settings: ServiceSettings):
    async with world_on(service_settings.model_copy(update={"nats_url": fresh_nats.url})) as made:
        yield made


async def test_every_command_is_sent_once_told_and_acknowledged(world: World):
    """From both queues, those published before the lane began included."""
    for number in range(30):
        await world.send(number)
    await world.replica()
    for number in range(30, 40):
        await world.send(number, "now")
    events = await world.outcomes(40)
    assert all(isinstance(event, Sent) and event.tries == 1 for event in events)
    assert Counter(world.platform.texts()) == Counter(f"hello {n}" for n in range(40))
    await world.settled()
    entry = await world.entry(command(0))
    assert entry is not None
    assert entry.state == "sent"
    assert entry.platform_ids == ["id-row0"]


async def test_worker_off_stops_at_once_and_gives_back(world: World):
    """The message being sent finishes; the ones pulled with it wait on the server, and go when the worker is on."""
    started, finish = asyncio.Event(), asyncio.Event()

    async def hold(_):
        started.set()
        await finish.wait()

    world.platform.acts["to0"] = [doing(hold)]
    for number in range(20):
        await world.send(number)
    replica = await world.replica()
    await started.wait()
    replica.switch(worker=False)
    await asyncio.sleep(0.3)
    assert replica.lane.status.worker == "stopping"
    finish.set()
    await world.outcomes(1)
    await asyncio.sleep(0.5)
    assert world.platform.texts() == ["hello 0"]
    assert replica.lane.status.worker == "off"
    info = await world.bus.js.consumer_info("COMMANDS_TELEGRAM", subjects.consumer(ACCOUNT, "bulk"))
    assert info.num_waiting == 0
    replica.switch(worker=True)
    await world.outcomes(20)
    assert Counter(world.platform.texts()) == Counter(f"hello {n}" for n in range(20))


async def test_worker_off_between_the_pull_and_the_claim_claims_nothing(world: World):
    """The claim is late: what was only pulled leaves no trace in the ledger."""
    replica = await world.replica(start=False)
    world.platform.acts["to0"] = [doing(lambda _: replica.switch(worker=False), after_claim=False)]
    made = await world.send(0)
    await replica.start()
    await world.eventually(lambda: world.platform.sends == 1)
    await asyncio.sleep(0.3)
    assert await world.entry(made) is None
    assert not world.platform.received
    replica.switch(worker=True)
    await world.outcomes(1)
    assert world.platform.texts() == ["hello 0"]


async def test_a_stale_watch_a_lost_lease_and_an_heirs_wait_hold_everything(world: World):
    replica = await world.replica(start=False)
    replica.fresh, replica.epoch = False, None
    await replica.start(starts_at=replica.context().clock.boottime() + 0.8)
    await world.send(0)
    for reason in ("no_lease", "starting", "stale"):
        assert replica.lane.status.waits_for == reason
        assert world.platform.sends == 0
        if reason == "no_lease":
            replica.epoch = 1
        elif reason == "starting":
            await asyncio.sleep(0.9)
    replica.fresh = True
    replica.lane.kick()
    await world.outcomes(1)


async def test_the_lease_is_looked_at_again_after_the_claim(world: World):
    """Lost in between, the claim is released and nothing is sent; the heir sends it."""
    first = await world.replica(start=False)

    def lose(moment: str) -> None:
        if moment == "after":
            first.epoch = None

    first.on_write("$KV.ledger", lose)
    made = await world.send(0)
    await first.start()

    async def released() -> bool:
        entry = await world.entry(made)
        return entry is not None and entry.state == "released"

    await world.eventually(released)
    assert not world.platform.received
    await first.lane.stop(1)
    await world.replica()
    await world.outcomes(1)
    assert world.platform.texts() == ["hello 0"]


async def test_bulk_pauses_before_the_pull_and_now_does_not(world: World):
    """A slow account holds one message at most; a reply goes at once."""
    world.pace(min_pause_seconds=1.2, max_pause_seconds=1.2)
    for number in range(3):
        await world.send(number)
    await world.replica()
    await world.outcomes(1)
    info = await world.bus.js.consumer_info("COMMANDS_TELEGRAM", subjects.consumer(ACCOUNT, "bulk"))
    assert info.num_pending == 2, "nothing is pulled before its time"
    await world.send(10, "now")
    await world.outcomes(2, seconds=0.8)
    assert world.platform.texts() == ["hello 0", "hello 10"]
    await world.outcomes(4, seconds=5)


async def test_a_new_holder_begins_with_a_full_pause(world: World):
    world.pace(min_pause_seconds=1.5, max_pause_seconds=1.5)
    await world.send(0)
    first = await world.replica()
    await world.outcomes(1)
    await first.die()
    await world.send(1)
    started = asyncio.get_running_loop().time()
    await world.replica()
    await world.outcomes(2)
    assert asyncio.get_running_loop().time() - started >= 1.4


async def test_the_daily_cap_is_never_exceeded_across_holders(world: World):
    """Reserved in blocks: a crash wastes a block, a good end gives it back. Replies do not count."""
    world.pace(daily_cap=25)
    for number in range(40):
        await world.send(number)
    first = await world.replica()
    await world.outcomes(5)
    await first.die()
    second = await world.replica()
    await world.eventually(lambda: second.lane.status.waits_for == "daily_cap")
    await asyncio.sleep(0.3)
    assert 5 <= len(set(world.platform.received)) <= 25
    lanes = Bucket(world.bus, "lanes_telegram", LaneState)
    stored = await lanes.get(ACCOUNT)
    assert stored is not None
    assert stored.value.cap_used == 25
    assert second.lane.status.next_send_at is not None
    await world.send(50, "now")
    await world.eventually(lambda: "hello 50" in world.platform.texts())


async def test_quiet_hours_hold_bulk_and_not_now(world: World):
    now = datetime.now(UTC)
    quiet = {
        "start": f"{now - timedelta(hours=1):%H:%M}",
        "end": f"{now + timedelta(hours=1):%H:%M}",
        "time_zone": "UTC",
    }
    world.pace(quiet_hours=quiet)
    await world.send(0)
    replica = await world.replica()
    await world.send(1, "now")
    await world.outcomes(1)
    assert world.platform.texts() == ["hello 1"]
    assert replica.lane.status.waits_for == "quiet_hours"
    world.pace()
    replica.lane.kick()
    await world.outcomes(2)


async def test_past_its_time_a_command_is_cancelled_and_never_sent(world: World):
    made = await world.send(0, not_after=datetime.now(UTC) - timedelta(seconds=1))
    await world.replica()
    (event,) = await world.outcomes(1)
    assert isinstance(event, Cancelled)
    assert event.reason == "expired"
    assert (await world.entry(made)).reason == "expired"
    await world.settled()
    assert not world.platform.received


async def test_a_queue_that_expired_takes_no_time_of_the_pace_and_troubles_no_sender(world: World):
    """After a long pause the expired must not use up the life of what comes behind them."""
    world.pace(min_pause_seconds=5, max_pause_seconds=5)
    for number in range(100):
        await world.send(number, not_after=datetime.now(UTC) - timedelta(seconds=1))
    await world.suppress("to100")
    await world.send(100)
    await world.send(101)
    started = asyncio.get_running_loop().time()
    await world.replica()
    events = await world.outcomes(102)
    assert asyncio.get_running_loop().time() - started < 12
    assert [type(e).__name__ for e in sorted(events, key=lambda e: e.number)[100:]] == ["Cancelled", "Sent"]
    assert world.platform.texts() == ["hello 101"]
    assert world.platform.sends == 1, "an envelope would be dropped with its connection"


async def test_a_suppressed_address_gets_no_campaign_but_an_answer(world: World):
    """One who is blocked gets neither."""
    await world.suppress("to0")
    await world.suppress("to2", "blocked")
    await world.send(0)
    await world.send(1)
    await world.send(2, "now", kind="reply")
    await world.send(3, "now", kind="reply", to={"address": " TO0 "})
    await world.replica()
    events = {event.number: event for event in await world.outcomes(4)}
    assert [events[n].reason for n in (0, 2)] == ["suppressed", "suppressed"]
    assert isinstance(events[1], Sent)
    assert isinstance(events[3], Sent)
    await world.settled()


async def test_a_suppression_made_while_the_command_waits_is_obeyed(world: World):
    replica = await world.replica(start=False)
    replica.worker = False
    await replica.start()
    await world.send(0)
    await asyncio.sleep(0.2)
    await world.suppress("to0")
    replica.switch(worker=True)
    (event,) = await world.outcomes(1)
    assert isinstance(event, Cancelled)
    assert not world.platform.received


async def test_unreadable_commands_become_dead_letters_and_block_nothing(world: World):
    await world.bus.publish(BULK, b"not json")
    await world.bus.publish(BULK, orjson.dumps({"id": "x"}))
    await world.bus.publish(BULK, command(1), headers={"ce-type": "kurir.message.send.v9"})
    await world.bus.publish(BULK, command(2, account_id="acc_other"))
    await world.send(3)
    await world.replica()
    await world.outcomes(1)
    await world.settled()
    assert world.platform.texts() == ["hello 3"]
    state = (await world.bus.js.stream_info("DLQ")).state
    errors = [(await world.bus.js.get_msg("DLQ", seq=n)).headers["x-error"] for n in range(1, state.messages + 1)]
    assert len(errors) == 4
    assert [word for word in ("malformed", "unknown_version", "wrong_account") if any(word in e for e in errors)] == [
        "malformed",
        "unknown_version",
        "wrong_account",
    ]


async def test_a_large_body_is_fetched_and_a_missing_one_fails_visibly(world: World):
    replica = await world.replica(start=False)
    replica.host.media["body"] = orjson.dumps({"text": "long text", "html": None})
    await world.send(0, content=Content(body_object="body"))
    await world.send(1, content=Content(body_object="gone"))
    await replica.start()
    events = {event.number: event for event in await world.outcomes(2)}
    assert isinstance(events[0], Sent)
    assert world.platform.texts() == ["long text"]
    assert isinstance(events[1], Failed)
    assert events[1].reason == "attachment_missing"
    await world.settled()
    assert await world.left("DLQ") == 1


async def test_a_program_outside_hears_where_its_message_came_from(world: World):
    made = SendMessage.model_validate(
        {
            "id": "order-1",
            "source": "shop",
            "account_id": ACCOUNT,
            "not_after": datetime.now(UTC) + timedelta(hours=1),
            "to": {"address": "somebody"},
            "content": {"subject": "Thanks", "text": "first line\nsecond"},
        }
    )
    await world.publish(made, "now")
    await world.replica()
    (event,) = await world.outcomes(1)
    assert (event.row, event.batch, event.k) == ("shop.order-1", "shop.order-1.1", 1)
    assert event.outside is not None
    assert (event.outside.id, event.outside.preview, event.outside.subject) == ("order-1", "first line", "Thanks")


async def test_the_same_attempt_published_twice_is_sent_once(world: World):
    """Whether the copy comes while the first is out, or long after it ended."""
    for _ in range(3):
        await world.send(0)
    await world.replica()
    await world.settled()
    await world.send(0)
    await world.settled()
    assert len(world.platform.received) == 1


async def test_draining_ends_every_command(world: World):
    """As failed, or by the end the ledger holds already; unreadable ones become dead letters."""
    for number in range(70):
        await world.send(number, "now" if number % 2 else "bulk")
    await world.bus.publish(BULK, b"not json")
    won = await world.ledger.cancel(command(0).ledger_key, "cancelled")
    assert won.outcome == "won"
    assert await drain(world.bus, CHANNEL, ACCOUNT) == 71
    events = {event.number: event for event in await world.outcomes(70)}
    assert isinstance(events.pop(0), Cancelled)
    assert {event.reason for event in events.values()} == {"account_deleted"}
    assert await world.left() == 0
    assert await world.left("DLQ") == 1
    assert await drain(world.bus, CHANNEL, ACCOUNT) == 0
