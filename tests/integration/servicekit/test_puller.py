"""The puller on a real server: one request ahead, over the end of a connection and of a request, and nothing kept back."""

import asyncio
import time

import pytest
from nats.js import api
from servicekit.bus import Bus
from servicekit.delivery import puller as module
from servicekit.delivery.puller import Puller

ACK_WAIT_SECONDS = 30


@pytest.fixture
async def bus(fresh_nats, service_settings):
    made = Bus(service_settings.model_copy(update={"nats_url": fresh_nats.url}))
    await made.start()
    await made.wait_connected()
    await made.js.add_stream(name="EVENTS", subjects=["evt.>"])
    config = api.ConsumerConfig(durable_name="d", ack_policy="explicit", ack_wait=ACK_WAIT_SECONDS)
    await made.js.add_consumer("EVENTS", config)
    yield made
    await made.stop()


async def published(bus, first, last, size=10):
    for number in range(first, last):
        await bus.js.publish("evt.x", b"%d " % number + b"x" * size)


async def taken(puller, count, seconds=5.0):
    """Take and acknowledge until so many numbers were seen."""
    seen, until = [], time.monotonic() + seconds
    while len(seen) < count:
        assert time.monotonic() < until, f"{len(seen)} of {count} came in time"
        for msg in await puller.next(asyncio.Event()):
            seen.append(int(msg.data.split()[0]))
            await msg.ack()
    return seen


async def test_stopping_gives_back_at_once_what_was_pulled_and_what_is_asked_for(bus):
    first, second = Puller(bus, "EVENTS", "d", 10), Puller(bus, "EVENTS", "d", 10)
    await published(bus, 0, 25)
    await first.start()
    assert len(await taken(first, 10)) == 10
    await asyncio.sleep(0.3)  # the next batch lies here
    await first.stop()
    await published(bus, 25, 30)  # a request may still be out: nobody listens to its answers
    await second.start()
    assert sorted(await taken(second, 20)) == list(range(10, 30))
    await second.stop()


async def test_a_request_that_its_bytes_end_is_no_error(bus, monkeypatch):
    monkeypatch.setattr(module, "_MOST_BYTES", 4_000)
    pulled = Puller(bus, "EVENTS", "d", 100)
    await published(bus, 0, 40, size=1_000)
    await pulled.start()
    assert await taken(pulled, 40) == list(range(40))
    assert not pulled.missing.is_set()
    await pulled.stop()


async def test_after_a_kill_of_the_server_it_asks_again_at_once(bus, fresh_nats):
    pulled = Puller(bus, "EVENTS", "d", 10)
    await pulled.start()
    assert await pulled.next(asyncio.Event()) == [], "a request is out now"
    fresh_nats.kill()
    fresh_nats.start()
    await bus.wait_connected()
    await published(bus, 0, 5)
    assert await taken(pulled, 5, seconds=3.0) == list(range(5)), "not only once the lost request has expired"
    await pulled.stop()


async def test_a_deleted_consumer_is_noticed_and_one_made_again_is_pulled(bus):
    pulled = Puller(bus, "EVENTS", "d", 10)
    await pulled.start()
    await pulled.next(asyncio.Event())
    await bus.js.delete_consumer("EVENTS", "d")
    await asyncio.wait_for(pulled.missing.wait(), 3)
    await bus.js.add_consumer("EVENTS", api.ConsumerConfig(durable_name="d", ack_policy="explicit"))
    await published(bus, 0, 3)
    assert await taken(pulled, 3) == [0, 1, 2]
    await pulled.stop()


async def test_what_hurries_does_not_wait_for_others(bus):
    pulled = Puller(bus, "EVENTS", "d", 10, linger_seconds=2.0, urgent=".received.")
    await pulled.start()
    await bus.js.publish("evt.received.x", b"1")
    started = time.monotonic()
    assert await taken(pulled, 1) == [1]
    assert time.monotonic() - started < 1.0
    await bus.js.publish("evt.sent.x", b"2")
    started = time.monotonic()
    assert await taken(pulled, 1) == [2]
    assert time.monotonic() - started > 1.0
    await pulled.stop()
