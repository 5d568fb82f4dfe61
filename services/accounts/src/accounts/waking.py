"""The one shape of the service's loops: work, then rest until woken."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from servicekit.errors import Unavailable
from servicekit.logs import get_logger

_log = get_logger("accounts.waking")


async def repeat(work: Callable[[], Awaitable[object]], wake: asyncio.Event, every_seconds: float, what: str) -> None:
    """Work at once, whenever woken and every so many seconds, until cancelled; NATS or the store away is waited out."""
    while True:
        wake.clear()
        try:
            await work()
        except Unavailable as error:
            _log.info("waits", what=what, error=str(error))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(wake.wait(), every_seconds)
