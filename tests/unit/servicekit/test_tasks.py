"""Ending background tasks."""

import asyncio
import contextlib

from servicekit.tasks import end


async def test_a_task_that_swallows_a_cancellation_ends_all_the_same():
    swallowed = 0

    async def stubborn():
        nonlocal swallowed
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)
            swallowed += 1
            if swallowed > 1:
                return

    async def failing():
        raise RuntimeError

    tasks = [asyncio.create_task(stubborn()), asyncio.create_task(failing()), None]
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await end(tasks, again_seconds=0.01)
    assert swallowed == 2
