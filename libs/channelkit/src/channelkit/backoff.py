"""When a failed login is tried again."""

import asyncio
from collections.abc import Callable
from random import SystemRandom

from servicekit.clock import boottime

from channelkit.reconcile import backoff_seconds

_STEADY_SECONDS = 60.0


class Backoff:
    """Counts failures in a row and calls *again* once the pause is over."""

    def __init__(self, first_seconds: float, again: Callable[[], None]) -> None:
        self._first, self._again = first_seconds, again
        self._random = SystemRandom()
        self._failures = 0
        self._began = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """A login begins now: whatever timer there was is void."""
        self.cancel()
        self._began = boottime()

    def reset(self) -> None:
        """Forget the failures: the credentials changed."""
        self._failures = 0

    def failed(self) -> None:
        """Try again later; a session that had lasted a minute starts the pauses anew."""
        if boottime() - self._began > _STEADY_SECONDS:
            self._failures = 0
        pause = self._first * backoff_seconds(self._failures, self._random)
        self._failures += 1
        self.cancel()
        self._timer = asyncio.get_running_loop().call_later(pause, self._again)

    def cancel(self) -> None:
        """Do not try again."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
