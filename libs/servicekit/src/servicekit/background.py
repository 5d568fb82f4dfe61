"""Background work that is started again when it fails, with growing pauses, and says so in /healthz."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from servicekit.errors import Unavailable
from servicekit.health import Health
from servicekit.logs import get_logger
from servicekit.metrics import TASK_RESTARTS

Work = Callable[[], Awaitable[None]]

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
HEALTHY_AFTER_SECONDS = 60.0
_log = get_logger("servicekit.background")


def name_of(work: Work) -> str:
    """Return a coroutine function's name for logs and health."""
    return str(getattr(work, "__qualname__", type(work).__name__)).rpartition("<locals>.")[2].removeprefix("_Life.")


class Supervisor:
    """Runs coroutine functions until stopped. One that returns is done; one that raises is started again."""

    def __init__(self, health: Health) -> None:
        """Report into *health*."""
        self._health = health
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, works: Sequence[Work]) -> None:
        """Start each in a task of its own."""
        self._tasks.extend(asyncio.create_task(self._keep(work), name=name_of(work)) for work in works)

    async def stop(self, grace_seconds: float) -> None:
        """Cancel all and wait at most *grace_seconds* for them to end."""
        left, loop = set(self._tasks), asyncio.get_running_loop()
        until = loop.time() + grace_seconds
        while left and loop.time() < until:
            for task in left:  # again and again: Python 3.11's wait_for can swallow a cancellation
                task.cancel()
            _, left = await asyncio.wait(left, timeout=min(2.0, max(until - loop.time(), 0.01)))
        if left:
            _log.error("background tasks did not end in time", tasks=[task.get_name() for task in left])
        self._tasks.clear()

    async def _keep(self, work: Work) -> None:
        name, pause, loop = name_of(work), FIRST_PAUSE_SECONDS, asyncio.get_running_loop()
        while True:
            self._health.tasks[name] = "running"
            started = loop.time()
            try:
                await work()
            except Exception as error:
                pause = FIRST_PAUSE_SECONDS if loop.time() - started > HEALTHY_AFTER_SECONDS else pause
                self._health.tasks[name] = f"failed, again in {pause:g} s: {error!r}"[:300]
                TASK_RESTARTS.labels(name).inc()
                _say(name, pause, error)
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE_SECONDS, pause * 2)
            else:
                self._health.tasks[name] = "done"
                return


def _say(task: str, pause: float, error: Exception) -> None:
    """Log an outage as one line (it will pass), anything else with its traceback (it is a bug)."""
    if isinstance(error, Unavailable):
        _log.warning("background task waits", task=task, again_in_seconds=pause, error=error.detail or error.reason)
    else:
        _log.error("background task failed", task=task, again_in_seconds=pause, exc_info=error)
