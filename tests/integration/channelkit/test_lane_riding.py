"""Envelopes that ride along: a sender may reserve the next message while the answer to this one is still out."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from channelkit.protocol import Capabilities, Outgoing
from contracts.inbox import Sent
from servicekit.settings import ServiceSettings

from tests.integration.channelkit.lane_support import Platform, Replica, TinySession, World, world_on
from tests.support.servers import NatsServer


class RidingSender:
    """Always reserves; notes what it was handed after that, and what it had to abandon."""

    def __init__(self, platform: Platform, notes: list[str]) -> None:
        self._platform, self._notes = platform, notes
        self._riding: Outgoing | None = None

    async def send(self, out: Outgoing, following: Callable[[], Outgoing | None]) -> Sequence[str]:
        if self._riding is not None:
            self._notes.append("same" if out is self._riding else "another")
        self._riding = None
        await out.claim()
        self._riding = following()
        assert following() is self._riding, "one message rides along, not two"
        for act in self._platform.acts[out.command.to.address]:
            await act(out)
        self._platform.received.append((out.platform_key(), out.command.content.text))
        return ["id"]

    async def abandon(self) -> None:
        self._notes.append("abandoned")
        self._riding = None

    async def close(self) -> None:
        self._notes.append("closed")


class RidingSession(TinySession):
    def __init__(self, platform: Platform, notes: list[str]) -> None:
        super().__init__(platform)
        self.notes = notes

    def sender(self) -> RidingSender:
        return RidingSender(self.platform, self.notes)


@pytest.fixture
async def world(fresh_nats: NatsServer, service_settings: ServiceSettings):
    async with world_on(service_settings.model_copy(update={"nats_url": fresh_nats.url})) as made:
        yield made


async def riding(world: World, connections: int = 1, **pace) -> tuple[Replica, list[str]]:
    world.pace(connections=connections, **pace)
    notes: list[str] = []
    replica = await world.replica(start=False)
    replica.capabilities = Capabilities(bubbles=False)
    await replica.start(session=RidingSession(world.platform, notes))
    return replica, notes


async def test_what_rode_along_goes_next_through_the_same_sender(world: World):
    for number in range(50):
        await world.send(number)
    _, notes = await riding(world, connections=3)
    await world.outcomes(50)
    assert Counter(world.platform.texts()) == Counter(f"hello {n}" for n in range(50))
    assert notes.count("same") > 30
    assert set(notes) == {"same"}


async def test_worker_off_abandons_what_rode_along(world: World):
    """The message that is out finishes; the envelope behind it is given up and its command given back."""
    for number in range(5):
        await world.send(number)
    replica, finish = None, asyncio.Event()

    async def off(_):
        replica.switch(worker=False)
        await finish.wait()

    world.platform.acts["to0"] = [off]
    replica, notes = await riding(world)
    await asyncio.sleep(0.5)
    finish.set()
    await world.outcomes(1)
    await asyncio.sleep(0.3)
    assert world.platform.texts() == ["hello 0"]
    assert notes == ["abandoned"]
    world.platform.acts.clear()
    replica.switch(worker=True)
    await world.outcomes(5)
    assert Counter(world.platform.texts()) == Counter(f"hello {n}" for n in range(5))


async def test_nothing_rides_along_that_is_not_due_within_a_second(world: World):
    for number in range(3):
        await world.send(number)
    _, notes = await riding(world, min_pause_seconds=1.5, max_pause_seconds=1.5)
    await world.outcomes(3)
    assert notes == []


async def test_a_rate_is_kept_though_envelopes_ride_ahead_of_their_time(world: World):
    for number in range(40):
        await world.send(number)
    started = asyncio.get_running_loop().time()
    _, notes = await riding(world, connections=4, per_second=20)
    await world.outcomes(40)
    assert asyncio.get_running_loop().time() - started > 39 / 20 - 0.26, (
        "no more than a quarter of a second is made good"
    )
    assert "same" in notes
    assert all(isinstance(event, Sent) for event in await world.events())


async def test_stopping_waits_for_what_is_out_and_gives_back_the_rest(world: World):
    """SIGTERM: the answer of what is out is written down; the rest is the heir's at once."""
    for number in range(20):
        await world.send(number)
    out = asyncio.Event()

    async def slow(_):
        out.set()
        await asyncio.sleep(0.7)

    world.platform.acts["to0"] = [slow]
    replica, notes = await riding(world)
    await out.wait()
    await replica.lane.stop(5)
    assert world.platform.texts() == ["hello 0"]
    assert notes == ["abandoned", "closed"]
    assert len(await world.events()) == 1
    assert await world.left() == 19
    started = asyncio.get_running_loop().time()
    await riding(world)
    await world.outcomes(20)
    assert asyncio.get_running_loop().time() - started < 1.5, "nothing had to wait for a redelivery"


async def test_fewer_connections_end_a_sender_when_it_is_idle(world: World):
    replica, notes = await riding(world, connections=4)
    for number in range(20):
        await world.send(number)
    await world.outcomes(20)
    world.pace(connections=1)
    replica.lane.kick()
    await world.eventually(lambda: notes.count("closed") == 3)
    await world.send(20)
    await world.outcomes(21)
