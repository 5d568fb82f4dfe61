"""The delivery policy on a real server: each message is judged by itself, none is lost, none comes for ever."""

import asyncio
import time

import pytest
from contracts import events
from faststream import AckPolicy
from faststream.nats import JStream, PullSub
from nats.js import api
from servicekit.bus import Bus
from servicekit.clock import utcnow
from servicekit.delivery import Policy, subscribe, subscribe_batch
from servicekit.errors import Permanent, Retry, Unavailable

SUBJECT = "evt.campaigns.contact.tagged.v1"
QUICK = Policy(max_tries=3, max_deliveries=6, ack_wait_seconds=1.0, first_pause_seconds=0.05, longest_pause_seconds=0.1)


def tagged(name):
    return events.ContactTagged(contact_id=str(name), tag="t", at=utcnow())


async def wait_until(condition, seconds=15.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "did not happen in time"
        await asyncio.sleep(0.02)


@pytest.fixture
async def world(fresh_nats, service_settings):
    """A publisher and a subscriber's bus, not yet started; streams exist."""
    settings = service_settings.model_copy(update={"nats_url": fresh_nats.url})
    sender, bus = Bus(settings), Bus(settings)
    await sender.start()
    await sender.wait_connected()
    await sender.js.add_stream(name="EVENTS", subjects=["evt.>"])
    await sender.js.add_stream(name="DLQ", subjects=["dlq.>"])
    yield sender, bus
    await bus.stop()
    await sender.stop()


async def letters(sender):
    state = (await sender.js.stream_info("DLQ")).state
    return [await sender.js.get_msg("DLQ", seq) for seq in range(1, state.messages + 1)]


async def pending(sender, durable="d"):
    info = await sender.js.consumer_info("EVENTS", durable)
    return info.num_pending, info.num_ack_pending


async def settled(sender, durable="d"):
    for _ in range(500):
        if await pending(sender, durable) == (0, 0):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"still open: {await pending(sender, durable)}")


async def test_a_batch_is_handled_and_acknowledged(world):
    sender, bus = world
    sizes, names = [], set()

    async def handler(items):
        sizes.append(len(items))
        names.update(i.data.contact_id for i in items)

    for i in range(1_200):
        await sender.pipe.publish(SUBJECT, *sender.envelope(tagged(i), f"m{i}"))
    subscribe_batch(bus, stream="EVENTS", durable="d", subjects=["evt.>"], handler=handler)
    await bus.start()
    await wait_until(lambda: len(names) == 1_200)
    assert max(sizes) > 100
    await settled(sender)


async def test_what_nobody_can_understand_goes_to_the_dead_letters_and_holds_nobody_up(world):
    sender, bus = world
    names = []

    async def handler(items):
        names.extend(i.data.contact_id for i in items)

    await sender.publish(SUBJECT, tagged("a"))
    await sender.publish(SUBJECT, b"{not json", msg_id="bad1")
    await sender.publish(SUBJECT, b'{"contact_id": 5}', msg_id="bad2")
    await sender.publish(SUBJECT, tagged("b"), headers={"ce-type": "kurir.contact.tagged.v7"})
    await sender.publish("evt.some.thing.unknown.v1", tagged("c"))
    await sender.publish(SUBJECT, tagged("d"))
    subscribe_batch(bus, stream="EVENTS", durable="d", subjects=["evt.>"], handler=handler, policy=QUICK)
    await bus.start()
    await wait_until(lambda: "d" in names)
    await settled(sender)
    assert names == ["a", "d"]
    dead = await letters(sender)
    assert [m.headers["x-stream-sequence"] for m in dead] == ["2", "3", "4", "5"]
    assert dead[0].subject == f"dlq.{SUBJECT}"
    assert dead[0].data == b"{not json"
    assert "unknown_version" in dead[2].headers["x-error"]
    assert dead[0].headers["x-consumer"] == "d"


async def test_each_message_of_a_batch_is_judged_by_itself(world):
    sender, bus = world
    seen = {}

    async def handler(items):
        for item in items:
            seen[item.data.contact_id] = seen.get(item.data.contact_id, 0) + 1
        for item in items:
            if item.data.contact_id == "judged":
                item.fail(Permanent("no_such_contact"))
            elif item.data.contact_id == "later" and seen["later"] < 3:
                item.retry(0.05)
            elif item.data.contact_id == "raises":
                raise RuntimeError("poison")

    for name in ("a", "judged", "later", "raises", "b"):
        await sender.publish(SUBJECT, tagged(name))
    subscribe_batch(bus, stream="EVENTS", durable="d", subjects=["evt.>"], handler=handler, policy=QUICK)
    await bus.start()
    await wait_until(lambda: seen.get("later", 0) >= 3 and seen.get("raises", 0) >= 3)
    await settled(sender)
    dead = {m.headers["x-stream-sequence"]: m.headers for m in await letters(sender)}
    assert set(dead) == {"2", "4"}, "exactly the injected failures"
    assert "no_such_contact" in dead["2"]["x-error"]
    assert dead["4"]["x-tries"] == "3"


async def test_a_message_that_always_fails_ends_after_its_tries_and_retries_do_not_count(world):
    sender, bus = world
    calls = []

    async def handler(item):
        calls.append(item.data.contact_id)
        if len(calls) <= 2:
            raise Retry(0.05)
        raise ValueError("again and again")

    await sender.publish(SUBJECT, tagged("x"))
    subscribe(
        bus,
        stream="EVENTS",
        durable="d",
        subjects=[SUBJECT],
        handler=handler,
        policy=Policy(max_tries=3, first_pause_seconds=0.02),
    )
    await bus.start()
    await settled_dead(sender, 1)
    assert len(calls) in {3, 4, 5}  # what counts is that it ended, with a letter
    assert "ValueError" in (await letters(sender))[0].headers["x-error"]


async def settled_dead(sender, count):
    for _ in range(500):
        if (await sender.js.stream_info("DLQ")).state.messages >= count:
            return await settled(sender)
        await asyncio.sleep(0.02)
    raise AssertionError("no dead letter")


async def test_crash_loops_end_too(world):
    """A process that dies in the handler never reports a failure: deliveries are counted before handling."""
    sender, bus = world
    config = api.ConsumerConfig(name="d", durable_name="d", ack_wait=0.2, max_deliver=-1)
    await sender.publish(SUBJECT, tagged("killer"))
    await sender.js.add_consumer("EVENTS", config=config)
    pull = await sender.js.pull_subscribe_bind(durable="d", stream="EVENTS")
    for _ in range(QUICK.max_deliveries):
        await pull.fetch(1, timeout=5)  # and die without a word
    handled = []

    async def handler(items):
        handled.extend(items)

    subscribe_batch(bus, stream="EVENTS", durable="d", subjects=["evt.>"], handler=handler, policy=QUICK)
    await bus.start()
    await settled_dead(sender, 1)
    assert not handled
    assert "exhausted" in (await letters(sender))[0].headers["x-error"]


async def test_a_store_that_is_away_is_waited_for_without_burning_tries(world):
    sender, bus = world
    away, done = True, []

    async def handler(items):
        if away:
            raise Unavailable("store is away", after_seconds=0.1)
        done.extend(items)

    await sender.publish(SUBJECT, tagged("x"))
    declared = subscribe_batch(bus, stream="EVENTS", durable="d", subjects=["evt.>"], handler=handler, policy=QUICK)
    await bus.start()
    await asyncio.sleep(3)  # three times ack_wait
    assert declared.runner.held
    assert (await sender.js.consumer_info("EVENTS", "d")).num_redelivered == 0
    away = False
    await wait_until(lambda: done)
    assert done[0].tries == 1
    assert await letters(sender) == []


async def test_while_the_dead_letters_refuse_nothing_is_terminated(world):
    sender, bus = world
    await sender.js.delete_stream("DLQ")

    async def handler(items):
        raise Permanent("hopeless")

    await sender.publish(SUBJECT, tagged("x"))
    subscribe_batch(bus, stream="EVENTS", durable="d", subjects=["evt.>"], handler=handler, policy=QUICK)
    await bus.start()
    await asyncio.sleep(1)
    assert (await pending(sender))[1] == 1
    await sender.js.add_stream(name="DLQ", subjects=["dlq.>"])
    await settled_dead(sender, 1)


async def test_over_a_kill_of_the_server_every_message_is_handled(world, fresh_nats):
    sender, bus = world
    names = set()

    async def handler(items):
        await asyncio.sleep(0.01)
        names.update(i.data.contact_id for i in items)

    for i in range(300):
        await sender.publish(SUBJECT, tagged(i))
    subscribe_batch(bus, stream="EVENTS", durable="d", subjects=["evt.>"], handler=handler, batch=20, policy=QUICK)
    await bus.start()
    await wait_until(lambda: len(names) > 40)
    fresh_nats.kill()
    await asyncio.sleep(1)
    fresh_nats.start()
    await wait_until(lambda: len(names) == 300, 20)
    await sender.wait_connected()
    await settled(sender)


async def test_a_deleted_consumer_comes_back(world):
    sender, bus = world
    names = []

    async def handler(items):
        names.extend(i.data.contact_id for i in items)

    subscribe_batch(bus, stream="EVENTS", durable="d", subjects=["evt.>"], handler=handler)
    await bus.start()
    await bus.wait_ready()
    await sender.publish(SUBJECT, tagged("before"))
    await wait_until(lambda: names)
    await sender.js.delete_consumer("EVENTS", "d")
    await sender.publish(SUBJECT, tagged("after"))
    started = time.process_time()
    await wait_until(lambda: "after" in names, 20)
    assert time.process_time() - started < 2, "it must not spin"


async def test_a_changed_subscription_updates_its_consumer(world):
    sender, bus = world

    async def handler(items):
        return None

    await sender.js.add_consumer("EVENTS", durable_name="d", filter_subject="evt.old.>", ack_wait=99, max_deliver=3)
    subscribe_batch(
        bus,
        stream="EVENTS",
        durable="d",
        subjects=["evt.a.>", "evt.b.>"],
        handler=handler,
        policy=Policy(ack_wait_seconds=7),
    )
    await bus.start()
    await bus.wait_ready()
    config = (await sender.js.consumer_info("EVENTS", "d")).config
    assert sorted(config.filter_subjects) == ["evt.a.>", "evt.b.>"]
    assert (config.ack_wait, config.max_deliver) == (7, -1)


async def test_without_its_stream_a_subscription_waits_and_says_so(fresh_nats, service_settings):
    bus = Bus(service_settings.model_copy(update={"nats_url": fresh_nats.url}))
    got = []

    async def handler(items):
        got.extend(items)

    subscribe_batch(bus, stream="EVENTS", durable="d", subjects=["evt.>"], handler=handler)
    await bus.start()
    await bus.wait_connected()
    with pytest.raises(Unavailable, match="EVENTS"):
        await bus.wait_ready(1)
    await bus.js.add_stream(name="EVENTS", subjects=["evt.>"])
    await bus.wait_ready(5)
    await bus.publish(SUBJECT, tagged("x"))
    await wait_until(lambda: got)
    await bus.stop()


async def test_stopping_gives_back_what_waits(world, fresh_nats, service_settings):
    sender, bus = world

    async def handler(items):
        raise Unavailable("store is away")

    await sender.publish(SUBJECT, tagged("x"))
    subscribe_batch(bus, stream="EVENTS", durable="d", subjects=["evt.>"], handler=handler)
    await bus.start()
    await wait_until(lambda: bus.subscriptions[0].runner.held)
    started = time.monotonic()
    await bus.stop()
    assert time.monotonic() - started < 5
    got = []

    async def heir(items):
        got.extend(items)

    other = Bus(service_settings.model_copy(update={"nats_url": fresh_nats.url}))
    subscribe_batch(other, stream="EVENTS", durable="d", subjects=["evt.>"], handler=heir)
    await other.start()
    await wait_until(lambda: got, 5)  # long before ack_wait
    await other.stop()


async def test_the_middleware_is_the_net_under_handlers_of_faststream_itself(world):
    """A service may declare a handler on the broker directly: what it raises is settled by the same policy."""
    sender, bus = world
    calls = []

    @bus.broker.subscriber(
        SUBJECT,
        stream=JStream("EVENTS", declare=False),
        durable="d",
        pull_sub=PullSub(),
        ack_policy=AckPolicy.NACK_ON_ERROR,
    )
    async def handler(body):
        calls.append(body)
        if body == b"hopeless":
            raise Permanent("no")
        if body == b"later" and calls.count(b"later") == 1:
            raise Retry(0.1)

    for data in (b"hopeless", b"later", b"good"):
        await sender.publish(SUBJECT, data)
    await bus.start()
    await settled_dead(sender, 1)
    await wait_until(lambda: calls.count(b"later") == 2)
    await settled(sender)
    assert [m.data for m in await letters(sender)] == [b"hopeless"]
