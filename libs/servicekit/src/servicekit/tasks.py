"""Ending background tasks for certain."""

import asyncio
from collections.abc import Iterable
from typing import Any


async def end(tasks: "Iterable[asyncio.Task[Any] | None]", again_seconds: float = 0.2) -> None:
    """Cancel tasks and wait until all have ended; their errors are dropped.

    Python 3.11's `wait_for` swallows a cancellation that meets its answer, and a loop around it then goes on: so they
    are cancelled until they end.
    """
    left = {task for task in tasks if task is not None}
    while left:
        for task in left:
            task.cancel()
        done, left = await asyncio.wait(left, timeout=again_seconds)
        for task in done:
            if not task.cancelled():
                task.exception()
