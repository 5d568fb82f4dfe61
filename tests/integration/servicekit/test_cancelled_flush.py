"""A flush that is given up must not stop the connection."""

import asyncio
import contextlib

from contracts.topology import topology
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
