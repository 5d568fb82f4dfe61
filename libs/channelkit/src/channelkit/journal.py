"""Session and log events on their way to the stream, kept while NATS is away."""

import asyncio
import contextlib
from collections import deque

from contracts.base import Message
from servicekit.bus import Bus
from servicekit.errors import KurirError, Unavailable
from servicekit.logs import get_logger

_log = get_logger("channelkit.journal")
_KEPT = 10_000


class Journal:
    """Publishes events in order, in the background: who reports or logs need not wait for the bus."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._waiting: deque[tuple[str, Message, str]] = deque(maxlen=_KEPT)
        self._new = asyncio.Event()
        self._empty = asyncio.Event()

    def add(self, subject: str, event: Message, event_id: str) -> None:
        """Queue an event; past 10,000 the oldest is dropped (states are in the bucket as well)."""
        self._waiting.append((subject, event, event_id))
        self._empty.clear()
        self._new.set()

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            await self._new.wait()
            self._new.clear()
            while self._waiting:
                await self._first()
            self._empty.set()

    async def flush(self, timeout: float) -> None:
        """Wait until everything is published, at most *timeout* seconds; `run` must be running."""
        if self._waiting:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), timeout)

    async def _first(self) -> None:
        item = self._waiting[0]
        try:
            await self._bus.publish(item[0], item[1], msg_id=item[2])
        except Unavailable:
            await asyncio.sleep(0.5)
            return
        except KurirError as error:
            _log.error("an event cannot be published", subject=item[0], error=str(error))
        if self._waiting and self._waiting[0] is item:
            self._waiting.popleft()
