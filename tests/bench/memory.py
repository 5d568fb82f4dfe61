"""Memory of a lane: the channel's process after 1,000 commands, and at its highest until 100,000 have gone."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.bench.channel import channel
from tests.bench.measure import Figure, fast_smtp, memory_mb

FEW, MANY, CHUNK = 1_000, 100_000, 11_000
"""A queue takes 20,000 at most: many come in chunks."""
GROWS_MB = 20.0
_SAMPLE_SECONDS = 0.1


async def measure() -> list[Figure]:
    """Return how much the process grows from few commands to many."""
    async with channel() as bench, fast_smtp() as port:
        await bench.account("acc_memory", port, 10)
        await bench.run("acc_memory", FEW)
        pid = bench.process.pid
        before = memory_mb(pid)
        async with highest(pid) as peak:
            for _ in range((MANY - FEW) // CHUNK):
                await bench.run("acc_memory", CHUNK)
        grown = peak[0] - before
    name = f"memory of a lane, {FEW:,} to {MANY:,} commands"
    return [
        Figure(name, grown, "MB more", aim="< 20 MB", met=grown < GROWS_MB),
        Figure(f"memory of the channel's process after {FEW:,} commands", before, "MB"),
    ]


@contextlib.asynccontextmanager
async def highest(pid: int) -> AsyncIterator[list[float]]:
    """Yield a list whose one value is the most memory (MB) the process has had since."""
    found = [memory_mb(pid)]

    async def sample() -> None:
        while True:
            found[0] = max(found[0], memory_mb(pid))
            await asyncio.sleep(_SAMPLE_SECONDS)

    task = asyncio.create_task(sample())
    try:
        yield found
    finally:
        task.cancel()
