"""The short way through nats-py, on a real server: whole messages in any pieces, over reconnects, beside nats-py's own."""

import asyncio

import pytest
from servicekit.direct import Direct, block, hpub, pub


async def wait_until(condition, seconds=10.0):
    """Wait until *condition* is truthy."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # a condition, not an event
            await asyncio.sleep(0.01)


@pytest.fixture
async def taken(bus):
    """A direct subscription on `t.>`, and what it was handed."""
    found = []
    direct = Direct(bus.nc)
    subscription = await direct.subscribe("t.>", found.append)
    return direct, subscription, found


async def test_messages_come_whole_and_in_order_however_they_are_cut(bus, taken):
    direct, _, found = taken
    sizes = [0, 1, 5, 32_766, 32_768, 300_000, 3, 900_000]
    for size in sizes:
        head = block({"size": str(size), "words": "a\r\nInjected: b"})
        direct.write(hpub(b"t.x", b"r.1", head, b"\r\n" * (size // 2) + b"x" * (size % 2)))
    direct.write(pub(b"t.y", b"r.2", b"plain"))
    await wait_until(lambda: len(found) == len(sizes) + 1)
    assert [len(one.data) for one in found] == [*sizes, 5]
    assert [one.header(b"size") for one in found[:-1]] == [str(size).encode() for size in sizes]
    assert found[0].header(b"Injected") is None
    assert (found[-1].subject, found[-1].reply, found[-1].head, found[-1].status) == (b"t.y", b"r.2", b"", b"")
    assert (await found[0].message(bus.nc)).headers["words"].replace(" ", "") == "aInjected:b"


async def test_both_ways_live_on_one_connection(bus, taken):
    direct, _, found = taken
    slow = await bus.nc.subscribe("s.>")
    for number in range(500):
        direct.write(pub(b"t.x", b"r", b"%d" % number))
        await bus.nc.publish("s.x", b"%d" % number, headers={"n": "1"})
    assert [(await slow.next_msg(5)).data for _ in range(500)] == [b"%d" % n for n in range(500)]
    assert [one.data for one in found] == [b"%d" % n for n in range(500)]


async def test_a_handler_that_fails_ends_nothing(bus):
    direct, found = Direct(bus.nc), []

    def fail_once(delivery) -> None:
        found.append(delivery)
        if len(found) == 1:
            raise ValueError("bad")

    await direct.subscribe("f", fail_once)
    direct.write(pub(b"f", b"r", b"1"))
    direct.write_soon(pub(b"f", b"r", b"2"))
    await wait_until(lambda: len(found) == 2)
    assert bus.connected


async def test_nobody_answers_is_a_status(bus):
    direct, found = Direct(bus.nc), []
    await direct.subscribe("_INBOX.mine", found.append)
    direct.write(pub(b"nobody.there", b"_INBOX.mine", b"?"))
    await wait_until(lambda: found)
    assert found[0].status == b"503"


async def test_ending_hands_over_what_was_on_its_way(bus, taken):
    direct, subscription, found = taken
    for _ in range(2_000):
        direct.write(pub(b"t.x", b"r", b"x" * 2_000))
    await direct.end(subscription)
    assert len(found) == 2_000
    direct.write(pub(b"t.x", b"r", b"late"))
    await bus.nc.flush()
    assert len(found) == 2_000


async def test_a_subscription_lives_on_after_the_server_was_killed(bus, taken, fresh_nats):
    direct, _, found = taken
    fresh_nats.kill()
    await wait_until(lambda: not bus.connected)
    fresh_nats.start()
    await wait_until(lambda: bus.connected)
    await asyncio.sleep(0.1)
    direct.write(pub(b"t.x", b"r", b"again"))
    await wait_until(lambda: found)
    assert found[0].data == b"again"


async def test_what_an_old_connection_still_hands_over_does_not_spoil_the_next(bus, taken):
    """nats-py resets its parser as a connection is lost, yet the read that was under way may come after it."""
    direct, _, found = taken
    nc = bus.nc
    nc._ps.reset()
    nc._status = nc.RECONNECTING
    await nc._ps.parse(b"MSG t.x 1 500\r\nhalf of it")
    nc._status = nc.CONNECTED
    direct.write(pub(b"t.x", b"r", b"whole"))
    await wait_until(lambda: found, 3)
    assert [one.data for one in found] == [b"whole"]
