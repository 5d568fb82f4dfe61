"""Two write one ledger key: whoever comes first has decided, and everybody hears the same end."""

import asyncio
from collections import Counter
from datetime import UTC, datetime

import pytest
from channelkit.lane import drain
from contracts import subjects
from contracts.inbox import Cancelled, Failed, Sent, Unknown
from contracts.state import LedgerEntry
from servicekit.errors import Conflict, Permanent, Retry
from servicekit.settings import ServiceSettings

from tests.integration.channelkit.lane_support import ACCOUNT, CHANNEL, World, command, doing, raising, world_on
from tests.support.servers import NatsServer


@pytest.fixture
async def world(fresh_nats: NatsServer, service_settings: ServiceSettings):
    async with world_on(service_settings.model_copy(update={"nats_url": fresh_nats.url})) as made:
        yield made


async def test_cancelling_against_a_running_lane_always_has_one_winner(world: World):
    """Of 300 attempts cancelled while they are sent, each is sent or cancelled, never both, and the events say so."""
    made = [await world.send(number) for number in range(300)]
    world.pace(per_second=400)
    await world.replica()
    await world.outcomes(30)
    results = await asyncio.gather(*(world.ledger.cancel(one.ledger_key, "paused") for one in reversed(made)))
    outcome = dict(zip((one.row for one in reversed(made)), (r.outcome for r in results), strict=True))
    await world.settled(20)
    events = {event.row: event for event in await world.events()}
    received = Counter(world.platform.texts())
    assert max(received.values()) == 1
    for number, one in enumerate(made):
        was_sent = f"hello {number}" in received
        assert isinstance(events[one.row], Sent if was_sent else Cancelled)
        assert (outcome[one.row] == "won") == (not was_sent), outcome[one.row]
    assert set(outcome.values()) >= {"won", "ended"}


async def test_a_ledger_entry_is_written_once_and_purged_by_batch(world: World):
    first, other = command(1), command(2, batch="camp.10")
    for one in (first, other):
        await world.ledger.cancel(one.ledger_key, "cancelled")
    found = await world.ledger.read(first.ledger_key)
    with pytest.raises(Conflict):
        await world.ledger.write(first.ledger_key, found.entry, 0)
    with pytest.raises(Conflict):
        await world.ledger.write(first.ledger_key, found.entry, found.revision + 1)
    await world.ledger.purge(ACCOUNT, "camp.1")
    assert await world.ledger.read(first.ledger_key) is None
    assert await world.ledger.read(other.ledger_key) is not None


async def test_an_exhausted_attempt_whose_holder_died_still_leaves_its_dead_letter(world: World):
    """Killed between event and dead letter: the heir finds `failed` and writes it."""
    world.platform.acts["to0"] = [raising(Retry(0.1, "450 busy"))]
    await world.send(0, tries=4)
    replica = await world.replica(start=False)
    real = replica.bus.js.publish

    async def publish(subject, *args, **kwargs):
        if subject.startswith("dlq."):
            await replica.sever()
        return await real(subject, *args, **kwargs)

    replica.bus.js.publish = publish
    await replica.start()
    await world.eventually(lambda: replica.bus.nc.is_closed)
    await replica.die()
    assert await world.left("DLQ") == 0
    await world.replica()
    await world.settled()
    assert await world.left("DLQ") == 1
    assert [type(event) for event in await world.events()] == [Failed]


async def test_a_deleted_consumer_is_made_again(world: World):
    await world.send(0)
    await world.replica()
    await world.outcomes(1)
    await world.bus.js.delete_consumer("COMMANDS_TELEGRAM", subjects.consumer(ACCOUNT, "bulk"))
    await world.send(1)
    await world.outcomes(2)
    info = await world.bus.js.consumer_info("COMMANDS_TELEGRAM", subjects.consumer(ACCOUNT, "bulk"))
    assert info.config.max_deliver == -1


async def test_accounts_do_not_take_each_others_commands(world: World):
    """A subject and a consumer per account: another's backlog is not even seen."""
    await world.bus.publish(subjects.send("telegram", "acc_2", "bulk"), command(5, account_id="acc_2"))
    await world.send(0)
    await world.replica()
    await world.outcomes(1)
    await asyncio.sleep(0.3)
    assert await world.left() == 1
    assert world.platform.texts() == ["hello 0"]


async def test_a_sent_message_keeps_its_command_until_its_event_is_stored(world: World):
    """The inbox stream refuses: the ledger alone is not enough for an acknowledgement."""
    config = (await world.bus.js.stream_info("INBOX")).config
    await world.bus.js.delete_stream("INBOX")
    made = await world.send(0)
    await world.replica()

    async def written() -> bool:
        entry = await world.entry(made)
        return entry is not None and entry.state == "sent"

    await world.eventually(written)
    await asyncio.sleep(0.5)
    assert await world.left() == 1
    await world.bus.js.add_stream(config)
    (event,) = await world.outcomes(1)
    assert isinstance(event, Sent)
    await world.settled()
    assert len(world.platform.received) == 1


async def test_a_refusal_is_told_as_the_ledger_has_it(world: World):
    """Its event waits for the ledger: campaigns gave up on the claim first, so `unknown` is what everybody hears."""

    async def swept(out) -> None:
        found = await world.ledger.read(out.command.ledger_key)
        end = found.entry.model_copy(update={"state": "unknown", "token": None, "reason": "swept"})
        await world.ledger.write(out.command.ledger_key, end, found.revision)
        raise Permanent("refused", "550 no")

    world.platform.acts["to0"] = [doing(swept)]
    await world.send(0)
    await world.replica()
    (event,) = await world.outcomes(1)
    await world.settled()
    assert [type(one) for one in await world.events()] == [Unknown]
    assert event.reason == "swept"


async def test_draining_calls_unknown_what_a_holder_that_is_gone_had_claimed(world: World):
    """It may have gone out: only what nobody claimed is failed for certain, and what has its end keeps it."""
    made = [await world.send(number) for number in range(70)]
    for one, state in ((made[0], "claimed"), (made[1], "sent"), (made[2], "released")):
        entry = LedgerEntry.model_validate({"state": state, "token": "gone", "at": datetime.now(UTC)})
        await world.ledger.write(one.ledger_key, entry, 0)
    assert await drain(world.bus, CHANNEL, ACCOUNT) == 70
    events = {event.row: type(event) for event in await world.events()}
    assert [events[f"row{number}"] for number in range(4)] == [Unknown, Sent, Failed, Failed]
    assert len(events) == 70
    assert await world.left() == 0
