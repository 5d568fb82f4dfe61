"""A lane that is cut short between an answer and its bookkeeping, or whose helpers fail: no attempt is sent again or lost."""

import asyncio
from collections import Counter

import nats.errors
import pytest
from channelkit.lane import LaneSettings
from channelkit.protocol import OutcomeUnknown
from channelkit.suppressions import Suppressions
from contracts.inbox import Failed, Sent, Unknown
from servicekit.errors import Permanent
from servicekit.settings import ServiceSettings

from tests.integration.channelkit.lane_support import CHANNEL, HASHER, World, doing, raising, world_on
from tests.support.servers import NatsServer


@pytest.fixture
async def world(fresh_nats: NatsServer, service_settings: ServiceSettings):
    async with world_on(service_settings.model_copy(update={"nats_url": fresh_nats.url})) as made:
        yield made


@pytest.mark.parametrize(("error", "ends"), [(OutcomeUnknown("cut"), Unknown), (Permanent("refused", "no"), Failed)])
async def test_a_lane_ended_while_it_tells_of_a_refusal_does_not_send_again(world: World, error, ends):
    """The log line hangs, the lane must end, and another begins in the same process: what is known stays known."""

    def taken(out) -> None:
        world.platform.received.append((out.platform_key(), out.command.content.text))
        raise error

    world.platform.acts["to0"] = [doing(taken)]
    await world.send(0)
    replica = await world.replica(start=False)
    hangs = asyncio.Event()

    async def log(*_, **__) -> None:
        hangs.set()
        await asyncio.sleep(60)

    real, replica.host.log = replica.host.log, log
    await replica.start()
    await asyncio.wait_for(hangs.wait(), 5)
    await replica.lane.stop(0.1)
    replica.host.log = real
    await replica.start()
    (event,) = await world.outcomes(1)
    await world.settled()
    assert type(event) is ends
    assert world.platform.sends == 1


class _Failing(Suppressions):
    """Raises what its author did not foresee, once."""

    failed = False

    async def of(self, addresses, timeout=5.0):
        if not self.failed:
            self.failed = True
            raise nats.errors.ConnectionClosedError
        return await super().of(addresses, timeout)


async def test_a_look_ahead_that_fails_leaves_no_attempt_behind(world: World):
    await world.send(0)
    replica = await world.replica(start=False)
    await replica.start(suppressions=_Failing(replica.bus, CHANNEL, HASHER))
    (event,) = await world.outcomes(1, seconds=6)
    assert isinstance(event, Sent)
    assert replica.lane.status.queue_length == 0


async def test_a_refusal_that_cannot_be_told_is_settled_all_the_same(world: World):
    world.platform.acts["to0"] = [raising(Permanent("refused", "no"))]
    await world.send(0)
    replica = await world.replica(start=False)
    await replica.start()

    async def refused(*_) -> None:
        raise RuntimeError("a bug")

    replica.lane._senders._refused = refused
    (event,) = await world.outcomes(1, seconds=6)
    assert isinstance(event, Failed)


async def test_nothing_is_left_over_however_often_the_lane_stops_and_nats_goes(world: World, fresh_nats: NatsServer):
    """Every attempt, every waiting callback and every subscription ends: what stayed would fill the window for good."""
    for number in range(200):
        await world.send(number)
    world.pace(per_second=120)
    replica = await world.replica()
    await world.outcomes(10)
    parser, nc = replica.bus.direct._handlers, replica.bus.nc
    handlers, subscriptions = len(parser), len(nc._subs)
    for turn in range(8):
        replica.switch(worker=False)
        await asyncio.sleep(0.02 * turn)
        replica.switch(worker=True)
        if turn == 4:
            fresh_nats.kill()
            await asyncio.sleep(0.3)
            fresh_nats.start()
            await world.bus.wait_connected(15)
        await asyncio.sleep(0.1)
    await world.outcomes(200, seconds=40)
    await world.settled(20)
    await world.eventually(lambda: not replica.lane._kept.attempts)
    await world.eventually(lambda: not replica.bus.pipe._waiting)
    assert len(parser) <= handlers
    assert len(nc._subs) <= subscriptions
    assert replica.lane.status.queue_length == 0
    assert max(Counter(world.platform.texts()).values()) == 1


@pytest.mark.parametrize("how", ["worker off", "stopped"])
async def test_what_was_pulled_is_given_back_and_waits_for_nobody(world: World, how: str):
    """Where nothing is given back, it comes again only after the acknowledgement's wait: half a minute here."""
    patient = LaneSettings(send_timeout_seconds=2.0, ack_wait_seconds=30.0)
    for number in range(20):
        await world.send(number, "now" if number % 2 else "bulk")
    out, finish = asyncio.Event(), asyncio.Event()

    async def hold(_) -> None:
        out.set()
        await finish.wait()

    world.platform.acts["to1"] = [doing(hold)]
    replica = await world.replica(settings=patient)
    await asyncio.wait_for(out.wait(), 5)
    await world.eventually(lambda: len(replica.lane._line) > 0)
    if how == "stopped":
        asyncio.get_running_loop().call_later(0.2, finish.set)
        await replica.lane.stop(1.5)
        assert not replica.lane._kept.attempts
        replica = await world.replica(settings=patient)
    else:
        replica.switch(worker=False)
        await world.eventually(lambda: not replica.lane._line)
        finish.set()
        await world.outcomes(1)
        replica.switch(worker=True)
    await world.outcomes(20, seconds=8)
    assert Counter(world.platform.texts()) == Counter(f"hello {number}" for number in range(20))
