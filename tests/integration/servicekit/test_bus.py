"""The bus on a real server: acknowledged or refused, over kills and freezes."""

import asyncio
import time

import nats.errors
import pytest
from contracts import events
from nats.js import errors as js_errors
from servicekit.bus import Bus
from servicekit.clock import utcnow
from servicekit.errors import Permanent, Unavailable

SUBJECT = "evt.campaigns.contact.tagged.v1"


def tagged(n=0):
    return events.ContactTagged(contact_id=f"c{n}", tag="t", at=utcnow())


@pytest.fixture
async def events_stream(bus):
    await bus.js.add_stream(name="EVENTS", subjects=["evt.>"])
    return bus


async def wait_until(condition, seconds=10.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "did not happen in time"
        await asyncio.sleep(0.02)


async def test_a_publish_returns_the_streams_sequence_and_a_repeat_the_same(events_stream):
    assert await events_stream.publish(SUBJECT, tagged(), msg_id="m1") == 1
    assert await events_stream.publish(SUBJECT, tagged(), msg_id="m1") == 1
    assert await events_stream.publish(SUBJECT, tagged(), msg_id="m2") == 2
    stored = await events_stream.js.get_msg("EVENTS", 1)
    assert stored.headers["ce-type"] == "kurir.contact.tagged.v1"
    assert stored.headers["traceparent"].startswith("00-")


async def test_no_stream_too_large_and_full_are_errors(bus):
    with pytest.raises(Unavailable, match="topology"):
        await bus.publish("evt.a.b.c.v1", tagged())
    await bus.js.add_stream(name="SMALL", subjects=["evt.>"], max_msgs=1, discard="new")
    await bus.publish("evt.a.b.c.v1", tagged())
    with pytest.raises(Unavailable) as full:
        await bus.publish("evt.a.b.c.v1", tagged())
    assert full.value.reason == "full"
    with pytest.raises(Permanent) as large:
        await bus.publish("evt.a.b.c.v1", b"x" * (2 << 20))
    assert large.value.reason == "too_large"


async def test_a_full_subject_is_full(bus):
    await bus.js.add_stream(
        name="C",
        subjects=["cmd.>"],
        retention="workqueue",
        max_msgs_per_subject=2,
        discard="new",
        discard_new_per_subject=True,
    )
    for _ in range(2):
        await bus.publish("cmd.email.a.send.now.v1", b"x")
    with pytest.raises(Unavailable) as full:
        await bus.publish("cmd.email.a.send.now.v1", b"x")
    assert full.value.reason == "full"
    assert await bus.publish("cmd.email.b.send.now.v1", b"x") == 3


async def test_before_nats_is_there_everything_is_refused_and_later_it_works(fresh_nats, service_settings):
    fresh_nats.kill()
    bus = Bus(service_settings.model_copy(update={"nats_url": fresh_nats.url}))
    started = time.monotonic()
    await bus.start()
    assert time.monotonic() - started < 0.5
    for refused in (bus.publish(SUBJECT, tagged()), bus.request("req.x", tagged())):
        with pytest.raises(Unavailable):
            await refused
    with pytest.raises(Unavailable):
        await bus.wait_connected(0.3)
    fresh_nats.start()
    await bus.wait_connected(5)
    await bus.js.add_stream(name="EVENTS", subjects=["evt.>"])
    assert await bus.publish(SUBJECT, tagged()) == 1
    await bus.stop()


async def test_after_a_kill_publishing_is_refused_then_goes_on(events_stream, fresh_nats):
    bus, back = events_stream, []

    async def reconnected():
        back.append(True)

    bus.on_reconnect(reconnected)
    await bus.publish(SUBJECT, tagged())
    fresh_nats.kill()
    await wait_until(lambda: not bus.connected)
    with pytest.raises(Unavailable):
        await bus.publish(SUBJECT, tagged())
    fresh_nats.start()
    await wait_until(lambda: bus.connected and back)
    assert await bus.publish(SUBJECT, tagged()) == 2, "the refused message must not have been buffered"


async def test_a_frozen_server_is_noticed_and_stop_does_not_hang(events_stream, fresh_nats):
    fresh_nats.freeze()
    with pytest.raises(Unavailable):
        await events_stream.publish(SUBJECT, tagged(), timeout=0.5)
    await wait_until(lambda: not events_stream.connected, 15)
    started = time.monotonic()
    await events_stream.stop()
    assert time.monotonic() - started < 6
    fresh_nats.thaw()


async def test_every_future_of_the_pipe_resolves(events_stream, fresh_nats):
    bus = events_stream
    sent = [await bus.pipe.publish(SUBJECT, b"%d" % i) for i in range(3_000)]
    acks = await asyncio.gather(*sent)
    assert sorted(a.seq for a in acks) == list(range(1, 3_001))
    refused = await bus.pipe.publish("nowhere.at.all", b"x")
    with pytest.raises(js_errors.NoStreamResponseError):
        await refused
    fresh_nats.freeze()
    lost = [await bus.pipe.publish(SUBJECT, b"x") for _ in range(10)]
    results = await asyncio.gather(*lost, return_exceptions=True)
    assert all(isinstance(r, TimeoutError) for r in results)
    fresh_nats.thaw()


async def test_request_gets_the_answer_or_says_that_nobody_answers(bus):
    async def answer(msg):
        await msg.respond(b"yes")

    await bus.nc.subscribe("req.email.a.check.v1", cb=answer)
    assert await bus.request("req.email.a.check.v1", tagged()) == b"yes"
    with pytest.raises(Unavailable) as nobody:
        await bus.request("req.email.b.check.v1", tagged())
    assert nobody.value.reason == "no_responder"


async def test_while_nats_is_away_the_pipe_refuses_at_once_and_nothing_comes_later(events_stream, fresh_nats):
    bus = events_stream
    fresh_nats.kill()
    await wait_until(lambda: not bus.connected)
    refused = await bus.pipe.publish(SUBJECT, b"ghost")
    with pytest.raises(nats.errors.ConnectionReconnectingError):
        await asyncio.wait_for(refused, 0.5)
    fresh_nats.start()
    await wait_until(lambda: bus.connected)
    acknowledged = await bus.pipe.publish(SUBJECT, b"first")
    assert (await acknowledged).seq == 1


@pytest.mark.parametrize("spare", [0, 50, 4_000])
async def test_what_is_too_large_with_its_headers_alone_is_refused_and_ends_no_connection(events_stream, spare):
    """The server counts the headers and ends a connection that sends more; nats-py counts the content alone."""
    size = events_stream.nc.max_payload - spare
    if spare < 1_000:
        with pytest.raises(Permanent) as large:
            await events_stream.publish(SUBJECT, b"x" * size)
        assert large.value.reason == "too_large"
    else:
        await events_stream.publish(SUBJECT, b"x" * size)
    assert events_stream.nc.stats["reconnects"] == 0


async def test_an_error_of_the_protocol_ends_one_connection_and_not_the_process(events_stream):
    """nats-py closes for good after most errors of the server."""
    bus = events_stream
    bus.direct.write(b"HPUB too.large 12 99999999\r\n")
    await wait_until(lambda: bus.nc.stats["reconnects"] == 1 and bus.connected)
    await bus.publish(SUBJECT, tagged())
