"""A holder dies between any two of its steps, or NATS does: what its heir makes of it. Nothing lost, nothing twice."""

import asyncio
from collections import Counter

import pytest
from channelkit.lane import Lane
from channelkit.protocol import OutcomeUnknown
from contracts.inbox import Cancelled, Sent, Unknown
from servicekit.settings import ServiceSettings

from tests.integration.channelkit.lane_support import Replica, World, doing, world_on
from tests.support.servers import NatsServer


@pytest.fixture
async def world(fresh_nats: NatsServer, service_settings: ServiceSettings):
    async with world_on(service_settings.model_copy(update={"nats_url": fresh_nats.url})) as made:
        yield made


async def dying(world: World, prefix: str, at: str, **more) -> Replica:
    """Start a lane that loses its connection for ever before or after its first write of that kind."""
    replica = await world.replica(start=False, **more)
    severed = asyncio.Event()

    async def cut(moment: str) -> None:
        if moment == at:
            await replica.sever()
            severed.set()

    replica.on_write(prefix, cut)
    await replica.start()
    await asyncio.wait_for(severed.wait(), 10)
    await replica.die()
    return replica


async def test_killed_before_the_claim_the_message_is_sent_by_the_heir(world: World):
    await world.send(0)
    await dying(world, "$KV.ledger", "before")
    assert not world.platform.received
    await world.replica()
    (event,) = await world.outcomes(1)
    assert isinstance(event, Sent)
    assert len(world.platform.received) == 1
    await world.settled()


@pytest.mark.parametrize("delivered", [False, True])
async def test_killed_between_claim_and_settling_the_outcome_is_unknown(world: World, delivered: bool):
    """Whether the content left or not: SMTP and the like cannot tell, so a person decides. It is never sent again."""
    replica = await world.replica(start=False)

    async def cut(out) -> None:
        if delivered:
            world.platform.received.append((out.platform_key(), out.command.content.text))
        await replica.sever()
        raise OutcomeUnknown("killed")

    world.platform.acts["to0"] = [doing(cut)]
    made = await world.send(0)
    await replica.start()
    await world.eventually(lambda: replica.bus.nc.is_closed)
    await replica.die()
    assert (await world.entry(made)).state == "claimed"
    await world.replica()
    (event,) = await world.outcomes(1)
    assert isinstance(event, Unknown)
    assert event.reason == "holder_lost"
    await world.settled()
    assert len(world.platform.received) == int(delivered)


async def test_killed_before_anything_of_the_outcome_was_written(world: World):
    await world.send(0)
    replica = await world.replica(start=False)
    claimed = asyncio.Event()

    async def first_claim(moment: str) -> None:
        if moment == "after":
            replica.on_write("$KV.ledger", outcome)

    async def outcome(moment: str) -> None:
        if moment == "before":
            await replica.sever()
            claimed.set()

    replica.on_write("$KV.ledger", first_claim)
    await replica.start()
    await asyncio.wait_for(claimed.wait(), 10)
    await replica.die()
    await world.replica()
    (event,) = await world.outcomes(1)
    assert isinstance(event, Unknown)
    assert len(world.platform.received) == 1


async def test_killed_between_ledger_and_event_the_heir_tells_it(world: World):
    await world.send(0)
    await dying(world, "inbox.", "before")
    assert await world.events() == []
    await world.replica()
    (event,) = await world.outcomes(1)
    assert isinstance(event, Sent)
    assert event.platform_ids == ["id-row0"]
    await world.settled()
    assert len(world.platform.received) == 1


async def test_killed_between_event_and_acknowledgement_the_event_is_told_once(world: World):
    await world.send(0)
    await dying(world, "$JS.ACK", "before")
    assert len(await world.events()) == 1
    await world.replica()
    await world.settled()
    assert len(await world.events()) == 1
    assert len(world.platform.received) == 1


async def test_killed_after_the_acknowledgement_nothing_is_left_to_do(world: World):
    await world.send(0)
    await dying(world, "$JS.ACK", "after")
    await world.settled()
    await world.send(1)
    await world.replica()
    await world.outcomes(2)
    assert world.platform.texts() == ["hello 0", "hello 1"]


async def test_an_idempotent_platform_gets_a_claimed_message_again_and_shows_it_once(world: World):
    """Three bubbles, the holder killed after the second: the heir sends the third alone."""
    replica = await world.replica(start=False, idempotent=True)
    made = await world.send(0, content={"text": "one", "bubbles": ["two", "three"]})
    parts = []

    async def third_write(moment: str) -> None:
        parts.append(moment)
        if len(parts) == 6:  # the claim and two parts, before and after each
            await replica.sever()
        elif moment == "after":
            replica.on_write("$KV.ledger", third_write)

    async def through_pipe(key, entry, revision):
        return await replica.lane._settler._ledger.put(key, entry.model_dump_json().encode(), revision)

    replica.on_write("$KV.ledger", third_write)
    replica.lane = Lane(replica.context())
    replica.lane._settler._ledger.write = through_pipe  # parts go the way the claim goes, so that they can be cut
    await replica.lane.start()
    await world.eventually(lambda: replica.bus.nc.is_closed)
    await replica.die()
    entry = await world.entry(made)
    assert (entry.state, entry.parts_done) == ("claimed", ["id-0", "id-1"])
    before = len(world.platform.received)
    await world.replica(idempotent=True)
    (event,) = await world.outcomes(1)
    assert isinstance(event, Sent)
    assert event.platform_ids == ["id-0", "id-1", "id-2"]
    assert Counter(world.platform.texts()) == Counter(["one", "two", "three"])
    assert before in (2, 3)


async def test_a_cancel_while_the_holder_is_dead_does_not_send(world: World):
    """Somebody cancelled what a dead holder had claimed: it is not sent again, not even where it could be."""
    replica = await world.replica(start=False, idempotent=True)

    async def cut(_) -> None:
        await replica.sever()
        await asyncio.sleep(10)

    world.platform.acts["to0"] = [doing(cut)]
    made = await world.send(0)
    await replica.start()
    await world.eventually(lambda: replica.bus.nc.is_closed)
    await replica.die()
    assert (await world.ledger.cancel(made.ledger_key, "cancelled")).outcome == "asked"
    await world.replica(idempotent=True)
    (event,) = await world.outcomes(1)
    assert isinstance(event, Unknown)
    assert not world.platform.received


@pytest.mark.parametrize(("knows", "ends"), [(True, Sent), (False, Sent), (None, Unknown)])
async def test_an_heir_asks_a_platform_that_can_be_asked(world: World, knows, ends):
    replica = await world.replica(start=False, can_ask=True)

    async def cut(_) -> None:
        await replica.sever()
        await asyncio.sleep(10)

    world.platform.acts["to0"] = [doing(cut)]
    await world.send(0)
    await replica.start()
    await world.eventually(lambda: replica.bus.nc.is_closed)
    await replica.die()
    world.platform.knows = knows
    await world.replica(can_ask=True)
    (event,) = await world.outcomes(1)
    assert type(event) is ends
    assert len(world.platform.received) == int(knows is False)
    await world.settled()


async def test_a_lane_that_starts_again_in_the_same_process_finishes_what_it_knew(world: World):
    """The outcome is known, NATS was away when the lane stopped: nothing becomes unknown."""
    made = await world.send(0)
    replica = await world.replica(start=False)
    stuck = asyncio.Event()

    async def hold(moment: str) -> None:
        if moment == "before":
            stuck.set()
            await asyncio.sleep(60)

    async def after_claim(moment: str) -> None:
        if moment == "after":
            replica.on_write("$KV.ledger", hold)

    replica.on_write("$KV.ledger", after_claim)
    await replica.start()
    await asyncio.wait_for(stuck.wait(), 5)
    replica.bus._pipe = replica.bus.pipe._pipe._pipe
    await replica.lane.stop(0)
    assert (await world.entry(made)).state in ("claimed", "sent")
    await replica.start()
    (event,) = await world.outcomes(1)
    assert isinstance(event, Sent)
    await world.settled()


async def test_nats_killed_in_the_middle_loses_nothing_and_sends_nothing_twice(world: World, fresh_nats: NatsServer):
    for number in range(300):
        await world.send(number)
    world.pace(per_second=150)
    await world.replica()
    await world.outcomes(40)
    fresh_nats.kill()
    await asyncio.sleep(1.0)
    fresh_nats.start()
    await world.bus.wait_connected(15)
    await world.outcomes(300, seconds=40)
    await world.settled(20)
    events = await world.events()
    kinds = Counter(type(event).__name__ for event in events)
    rows = Counter(event.row for event in events)
    assert len(rows) == 300
    assert max(Counter(world.platform.texts()).values()) == 1
    assert kinds["Sent"] >= 299, kinds


async def test_worker_off_holds_across_a_nats_restart(world: World, fresh_nats: NatsServer):
    for number in range(60):
        await world.send(number)
    world.pace(per_second=40)
    replica = await world.replica()
    await world.outcomes(5)
    replica.switch(worker=False)
    await asyncio.sleep(0.3)
    count = len(world.platform.received)
    fresh_nats.kill()
    fresh_nats.start()
    await world.bus.wait_connected(15)
    await asyncio.sleep(3)
    assert len(world.platform.received) == count
    replica.switch(worker=True)
    await world.outcomes(60, seconds=20)
    assert max(Counter(world.platform.texts()).values()) == 1


async def test_a_sweepers_unknown_is_corrected_by_the_truth(world: World):
    """Campaigns gave up on a claim just as its holder's answer came: `sent` stands."""

    async def swept(out) -> None:
        found = await world.ledger.read(out.command.ledger_key)
        end = found.entry.model_copy(update={"state": "unknown", "token": None, "reason": "swept"})
        await world.ledger.write(out.command.ledger_key, end, found.revision)

    world.platform.acts["to0"] = [doing(swept)]
    made = await world.send(0)
    await world.replica()
    (event,) = await world.outcomes(1)
    assert isinstance(event, Sent)
    await world.settled()
    assert (await world.entry(made)).state == "sent"


async def test_a_takeover_while_ours_is_out_leaves_the_end_to_the_heir(world: World):
    """Two sessions overlap for one call: whoever holds the claim last decides, the other falls silent."""

    async def taken_over(out) -> None:
        found = await world.ledger.read(out.command.ledger_key)
        theirs = found.entry.model_copy(update={"token": "theirs"})
        await world.ledger.write(out.command.ledger_key, theirs, found.revision)
        raise OutcomeUnknown("no answer")

    world.platform.acts["to0"] = [doing(taken_over)]
    made = await world.send(0)
    replica = await world.replica()
    await world.eventually(lambda: world.platform.sends == 1)
    await asyncio.sleep(0.5)
    await replica.lane.stop(0.5)
    entry = await world.entry(made)
    assert (entry.state, entry.token) == ("claimed", "theirs")
    assert not [event for event in await world.events() if isinstance(event, Cancelled | Unknown)]


async def test_a_lane_that_ends_while_the_bus_is_slow_still_writes_what_was_sent(world: World, fresh_nats: NatsServer):
    """The platform took it, the server stands still, and the lane is told to end."""
    replica = await world.replica(start=False)
    world.platform.acts["to1"].append(doing(lambda _: fresh_nats.freeze()))
    await replica.start()
    made = await world.send(1)
    await world.eventually(lambda: world.platform.received)
    await replica.lane.stop(0.1)
    fresh_nats.thaw()
    await world.eventually(lambda: replica.bus.connected and world.bus.connected)
    (event,) = await world.outcomes(1)
    assert isinstance(event, Sent)
    assert (await world.entry(made)).state == "sent"
