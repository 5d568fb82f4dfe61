"""A lane on its good days: what is published is sent once, told, and acknowledged."""

from collections import Counter

import pytest
from contracts.inbox import Sent
from servicekit.settings import ServiceSettings

from tests.integration.channelkit.lane_support import World, world_on
from tests.support.servers import NatsServer


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
    entry = await world.entry(await_command(0))
    assert entry is not None
    assert entry.state == "sent"
    assert entry.platform_ids == ["id-row0"]


def await_command(number: int):
    from tests.integration.channelkit.lane_support import command

    return command(number)
