"""A flush that is given up must not stop the connection, and a dead flusher must not stop the end of a service."""

import asyncio
import contextlib

import pytest
from contracts.topology import topology
from servicekit import direct
from servicekit import topology as server_topology
from servicekit.bus import Bus


async def test_the_connection_goes_on_after_a_cancelled_flush(bus: Bus):
    await server_topology.apply(bus.js, topology([]))
    for _ in range(20):
        flush = asyncio.create_task(bus.nc.flush())
        await asyncio.sleep(0)
        flush.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await flush
    assert await bus.publish("evt.test.thing.done.v1", b"{}", timeout=2) == 1


async def test_a_subscription_ends_in_time_where_nothing_leaves_any_more(bus: Bus, monkeypatch):
    monkeypatch.setattr(direct, "_WRITTEN_SECONDS", 0.2)
    connection = direct.Direct(bus.nc)
    subscription = await connection.subscribe("evt.test.*", lambda _: None)
    bus.nc._flusher_task.cancel()
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        with pytest.raises(TimeoutError):
            await connection.end(subscription)
