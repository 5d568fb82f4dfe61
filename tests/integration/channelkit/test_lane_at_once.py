"""Chat channels whose platform takes several messages at once: never two to one recipient, and one by one where there is a pause."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import pytest
from channelkit.protocol import Capabilities, Outgoing
from contracts.commands import Recipient
from servicekit.errors import Retry
from servicekit.settings import ServiceSettings

from tests.integration.channelkit.lane_support import TinySession, World, world_on
from tests.support.servers import NatsServer

PEOPLE, EACH = 3, 6


class SlowSession(TinySession):
    """Its senders take a moment, and note who is being written to meanwhile."""

    def __init__(self, world: World) -> None:
        super().__init__(world.platform)
        self.under_way: Counter[str] = Counter()
        self.most = self.most_to_one = 0
        self.texts: dict[str, list[str]] = defaultdict(list)
        self.refuses = 0

    def sender(self) -> "SlowSession":
        return self

    async def send(self, out: Outgoing, following: Callable[[], Outgoing | None]) -> Sequence[str]:  # noqa: ARG002
        to = out.command.to.address
        self.under_way[to] += 1
        self.most = max(self.most, self.under_way.total())
        self.most_to_one = max(self.most_to_one, self.under_way[to])
        try:
            await out.claim()
            await asyncio.sleep(0.02)
            if self.refuses:
                self.refuses -= 1
                raise Retry(0.05)
        finally:
            self.under_way[to] -= 1
        self.texts[to].append(out.command.content.text)
        return ["id"]

    async def abandon(self) -> None:
        """Nothing rides along."""

    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
async def world(fresh_nats: NatsServer, service_settings: ServiceSettings):
    async with world_on(service_settings.model_copy(update={"nats_url": fresh_nats.url})) as made:
        yield made


async def sending(world: World, at_once: int, queue: str = "bulk", **pace) -> SlowSession:
    world.pace(**{"connections": 4, **pace})
    for number in range(PEOPLE * EACH):
        await world.send(number, queue, to=Recipient(address=f"person{number // EACH}"))
    replica, session = await world.replica(start=False), SlowSession(world)
    replica.capabilities = Capabilities(at_once=at_once)
    await replica.start(session=session)
    return session


@pytest.mark.parametrize("queue", ["bulk", "now"])
async def test_several_people_are_written_to_at_once_and_each_in_order(world: World, queue: str):
    """The messages stand in line person by person: whoever is next in line waits, and is overtaken by nobody."""
    session = await sending(world, at_once=4, queue=queue)
    await world.outcomes(PEOPLE * EACH)
    assert session.most_to_one == 1
    assert session.most > 1
    for person in range(PEOPLE):
        numbers = range(person * EACH, (person + 1) * EACH)
        assert session.texts[f"person{person}"] == [f"hello {n}" for n in numbers]
    await world.settled()


@pytest.mark.parametrize("pace", [{"min_pause_seconds": 0.01, "max_pause_seconds": 0.02}, {"connections": 1}])
async def test_with_a_pause_or_a_single_connection_one_leaves_after_the_other(world: World, pace):
    session = await sending(world, at_once=4, **pace)
    await world.outcomes(PEOPLE * EACH)
    assert session.most == 1


async def test_a_channel_that_says_nothing_sends_one_by_one(world: World):
    session = await sending(world, at_once=1)
    await world.outcomes(PEOPLE * EACH)
    assert session.most == 1


async def test_who_was_refused_for_a_moment_can_be_written_to_again(world: World):
    session = await sending(world, at_once=4)
    session.refuses = 3
    await world.outcomes(PEOPLE * EACH)
    assert sum(map(len, session.texts.values())) == PEOPLE * EACH
    assert session.most_to_one == 1
