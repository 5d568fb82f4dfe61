"""A time limit for a task that limits one thing after another, thousands a second: `asyncio.timeout` with a lazy timer.

`asyncio.timeout` makes and cancels a timer each time, which costs more than most of what it guards.
"""

import asyncio
import math
from types import TracebackType
from typing import Self


class Deadline:
    """Use as `with deadline(seconds):` in one task at a time; raises TimeoutError in it. Not to be nested in itself."""

    __slots__ = ("_at", "_cancelling", "_expired", "_loop", "_task", "_timer")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._at = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._expired = False

    def __call__(self, seconds: float) -> Self:
        """Limit what follows to so many seconds."""
        self._at = at = self._loop.time() + seconds
        timer = self._timer
        if timer is not None and timer.when() > at:
            timer.cancel()
            timer = None
        if timer is None:
            self._timer = self._loop.call_at(at, self._fire)
        return self

    def __enter__(self) -> None:
        """Begin. Raises RuntimeError outside a task."""
        task = asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError("a deadline needs a task")
        self._task, self._cancelling = task, task.cancelling()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """End; the cancellation that was ours becomes a TimeoutError, anybody else's stays."""
        self._at = math.inf
        task, self._task = self._task, None
        if not self._expired or task is None:
            return
        self._expired = False
        if task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def close(self) -> None:
        """Drop the timer: nothing more is limited."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        self._timer = None
        if self._task is None:
            return
        if self._loop.time() < self._at:
            self._timer = self._loop.call_at(self._at, self._fire)
        else:
            self._expired = True
            self._task.cancel()
