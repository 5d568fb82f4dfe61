"""Runs a handler over a batch so that each message is judged by itself."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

import nats.errors
from faststream.exceptions import NackMessage
from nats.aio.msg import Msg

from servicekit import tracing
from servicekit.delivery.received import Decode, Received, received
from servicekit.delivery.settle import Policy, settle_failure
from servicekit.errors import Permanent, Unavailable
from servicekit.logs import get_logger
from servicekit.metrics import HANDLE_SECONDS, HANDLED

if TYPE_CHECKING:
    from servicekit.bus import Bus

Handler = Callable[[list[Received]], Awaitable[None]]

_log = get_logger("servicekit.delivery")
_FRESH_DELIVERIES = 2
"""Delivered more often, a message may be what kills the process: it is handled alone, after the others are settled."""


class Runner:
    """One subscription's handling. `held` names why it waits, while NATS or the store is away."""

    def __init__(
        self, bus: "Bus", durable: str, handler: Handler, *, decode: Decode, policy: Policy, each: int = 0
    ) -> None:
        """*each* > 0: one message per call, so many at a time; 0: the whole batch in one call."""
        self._bus, self._durable, self._handler, self._decode, self._policy = bus, durable, handler, decode, policy
        self._permits = asyncio.Semaphore(each) if each else None
        self._failures: dict[int, int] = {}
        self.stopping = asyncio.Event()
        self.held: str | None = None

    async def run(self, messages: list[Msg]) -> None:
        """Handle and settle every message. Raises NackMessage to give back what is left when stopping."""
        started = time.perf_counter()
        async with self._kept_alive(messages):
            items = await self._understood(messages)
            if self._permits is not None:
                await asyncio.gather(*(self._one(self._permits, item) for item in items))
            else:
                await self._groups(items)
        HANDLE_SECONDS.labels(self._durable).observe(time.perf_counter() - started)

    async def _groups(self, items: list[Received]) -> None:
        fresh = [item for item in items if item.tries <= _FRESH_DELIVERIES]
        if fresh:
            await self._judge(fresh)
        for item in sorted((i for i in items if i.tries > _FRESH_DELIVERIES), key=lambda i: i.tries):
            await self._judge([item])

    async def _one(self, permits: asyncio.Semaphore, item: Received) -> None:
        async with permits:
            with tracing.continued(item.headers):
                await self._judge([item])

    async def _understood(self, messages: list[Msg]) -> list[Received]:
        """Return what can be handled; what cannot is settled here, alone."""
        good: list[Received] = []
        for msg in messages:
            try:
                if msg.metadata.num_delivered > self._policy.max_deliveries:
                    raise Permanent("exhausted", f"delivered {msg.metadata.num_delivered} times without an end")  # noqa: TRY301
                good.append(received(msg, self._decode))
            except Exception as error:
                await settle_failure(self._bus, msg, error, msg.metadata.num_delivered, self._policy)
        return good

    async def _judge(self, items: list[Received]) -> None:
        for item in items:
            item.verdict = None
        try:
            await self._handle(items)
        except NackMessage:
            raise
        except Exception as error:
            if len(items) > 1:
                _log.warning(
                    "batch failed, each alone now", durable=self._durable, size=len(items), error=repr(error)[:200]
                )
                for item in items:
                    await self._judge([item])
                return
            items[0].verdict = error
        for item in items:
            await self._settle(item)

    async def _handle(self, items: list[Received]) -> None:
        """Call the handler; while NATS or the store is away, wait here: it is not the messages' fault."""
        while True:
            try:
                await self._handler(items)
            except Unavailable as error:
                self.held = str(error)
                _log.warning("handling waits", durable=self._durable, error=self.held)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.stopping.wait(), min(error.after_seconds, 2.0))
                if self.stopping.is_set():
                    raise NackMessage from error
            else:
                self.held = None
                return

    async def _settle(self, item: Received) -> None:
        if item.verdict is None:
            self._failures.pop(item.sequence, None)
            if not item.raw._ackd:  # noqa: SLF001  # the handler may have settled it
                await item.raw.ack()  # one lost on the way only repeats a handler that is safe to run twice
            HANDLED.labels(self._durable, "done").inc()
            return
        tries = self._failures[item.sequence] = self._failures.get(item.sequence, 0) + 1
        if await settle_failure(self._bus, item.raw, item.verdict, tries, self._policy) != "again":
            self._failures.pop(item.sequence, None)

    @contextlib.asynccontextmanager
    async def _kept_alive(self, messages: list[Msg]) -> AsyncIterator[None]:
        """Tell the server that we still work, so that slow handling is not taken for death."""

        async def beat() -> None:
            while True:
                await asyncio.sleep(self._policy.ack_wait_seconds / 3)
                for msg in messages:
                    if not msg._ackd and self._bus.connected:  # noqa: SLF001
                        with contextlib.suppress(nats.errors.Error):
                            await msg.in_progress()

        task = asyncio.create_task(beat())
        try:
            yield
        finally:
            task.cancel()
