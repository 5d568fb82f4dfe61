"""The part of `kurir up` that keeps processes alive, which `Live` leaves out: its tests restart by hand."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from kurir.processes import Child

from tests.support.live import Live


@contextlib.asynccontextmanager
async def supervised(kurir: Live) -> AsyncIterator[None]:
    """Restart whatever ends, or gives up, until the block ends."""
    task = asyncio.create_task(kurir.platform.supervise())
    await asyncio.sleep(3)  # as long as `kurir up` runs, bus and store have worked
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def restarted(child: Child) -> bool:
    """Return whether the supervisor has started it again."""
    return child.restarts > 0
