"""Whether what this replica believes is still what the bus says (architecture 3.5)."""

import asyncio
from collections.abc import Sequence
from typing import Any

from servicekit.clock import boottime
from servicekit.kv import BucketWatch


class Freshness:
    """Asks each second whether a watch is behind; a process that slept is not fresh when it wakes."""

    def __init__(self, watches: Sequence[BucketWatch[Any]], limit_seconds: float) -> None:
        self._watches, self._limit = watches, limit_seconds
        self._last_ok = -limit_seconds

    def fresh(self) -> bool:
        """Return False once a watch was behind or unanswered for longer than the limit: lanes stop before a claim."""
        return boottime() - self._last_ok < self._limit

    async def check(self) -> None:
        """Compare every watch with its bucket."""
        asked = boottime()
        answers = await asyncio.gather(*(w.behind() for w in self._watches))
        if all(answer is False for answer in answers):
            self._last_ok = asked
