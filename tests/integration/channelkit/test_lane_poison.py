"""Commands nobody can read, at the edges of what NATS carries: each becomes a dead letter, and the lane goes on."""

import pytest
from channelkit.lane import drain
from contracts import subjects
from contracts.inbox import Sent
from servicekit.direct import hpub
from servicekit.settings import ServiceSettings

from tests.integration.channelkit.lane_support import ACCOUNT, CHANNEL, World, world_on
from tests.support.servers import NatsServer

_SUBJECT = subjects.send(CHANNEL, ACCOUNT, "bulk")


@pytest.fixture
async def world(fresh_nats: NatsServer, service_settings: ServiceSettings):
    async with world_on(service_settings.model_copy(update={"nats_url": fresh_nats.url})) as made:
        yield made


@pytest.mark.parametrize("spare", [0, 100, 2_000])
async def test_what_is_too_large_for_a_dead_letter_with_its_headers_is_cut(world: World, spare: int):
    await world.bus.publish(_SUBJECT, b"x" * (world.bus.nc.max_payload - 200 - spare))
    await world.send(0)
    replica = await world.replica()
    (event,) = await world.outcomes(1)
    assert isinstance(event, Sent)
    await world.settled()
    assert await world.left("DLQ") == 1
    assert replica.bus.connected


async def test_a_header_that_nats_py_would_not_write_does_not_keep_a_message_from_the_dead_letters(world: World):
    world.bus.direct.write(hpub(_SUBJECT.encode(), b"none", b"NATS/1.0\r\nX(Y): 1\r\nKept: 2\r\n\r\n", b"{}"))
    await world.send(0)
    await world.replica()
    await world.outcomes(1)
    await world.settled()
    (letter,) = [await world.bus.js.get_msg("DLQ", seq=1)]
    assert letter.headers["Kept"] == "2"


@pytest.mark.parametrize("spare", [0, 500])
async def test_a_queue_with_a_message_of_full_size_is_drained(world: World, spare: int):
    await world.bus.publish(_SUBJECT, b"x" * (world.bus.nc.max_payload - 200 - spare))
    assert await drain(world.bus, CHANNEL, ACCOUNT) == 1
    assert await world.left("DLQ") == 1
    assert await world.left() == 0
