"""Runs a handler over a batch so that each message is judged by itself."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

import nats.errors
from nats.aio.msg import Msg

from servicekit import tracing
from servicekit.delivery.received import Decode, Received, received
from servicekit.delivery.settle import Policy, settle_failure
from servicekit.direct import Direct
from servicekit.errors import Permanent, Unavailable
from servicekit.logs import get_logger
from servicekit.metrics import HANDLE_SECONDS, HANDLED

if TYPE_CHECKING:
    from servicekit.bus import Bus

Handler = Callable[[list[Received]], Awaitable[None]]

_log = get_logger("servicekit.delivery")
_FRESH_DELIVERIES = 2
"""Delivered more often, a message may be what kills the process: it is handled alone, after the others are settled."""


class _GivenBackError(Exception):
    """Stopping while the store is away: what was not handled goes back at once."""


class Runner:
    """One subscription's handling. `held` names why it waits, while NATS or the store is away."""

    def __init__(
        self,
        bus: "Bus",
        durable: str,
        handler: Handler,
        *,
        decode: Decode,
        policy: Policy,
        each: int = 0,
        overlap: int = 1,
    ) -> None:
        """*each* > 0: one message per call, so many at a time; 0: the whole batch in one call, *overlap* batches at once."""
        self._bus, self._durable, self._handler, self._decode, self._policy = bus, durable, handler, decode, policy
        self._overlap = overlap
        self._running: set[asyncio.Task[None]] = set()
        self._permits = asyncio.Semaphore(each) if each else None
        self._failures: dict[int, int] = {}
        self.stopping = asyncio.Event()
        self.held: str | None = None

    async def take(self, messages: list[Msg]) -> None:
        """Begin to handle a batch; return when there is room for another."""
        task = asyncio.create_task(self._guarded(messages), name=f"handling {self._durable}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        while len(self._running) >= self._overlap:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)

    async def finish(self, seconds: float) -> None:
        """Let what runs end; what takes longer is cut off, and comes again."""
        if self._running:
            _, late = await asyncio.wait(set(self._running), timeout=seconds)
            for task in late:
                task.cancel()

    async def _guarded(self, messages: list[Msg]) -> None:
        try:
            await self.run(messages)
        except _GivenBackError:
            for msg in messages:
                await self._give_back(msg, 0)
        except Exception as error:  # settling itself failed: the messages come again
            _log.error("a batch could not be settled", durable=self._durable, exc_info=error)
            for msg in messages:
                await self._give_back(msg, 5)

    async def _give_back(self, msg: Msg, after_seconds: float) -> None:
        with contextlib.suppress(nats.errors.Error):
            if not msg._ackd and self._bus.connected:  # noqa: SLF001
                await msg.nak(delay=after_seconds)

    async def run(self, messages: list[Msg]) -> None:
        """Handle and settle every message."""
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
        except _GivenBackError:
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
        self._acknowledge([item for item in items if item.verdict is None])
        for item in items:
            if item.verdict is not None:
                await self._failed(item, item.verdict)

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
                    raise _GivenBackError from error
            else:
                self.held = None
                return

    def _acknowledge(self, items: list[Received]) -> None:
        """Acknowledge together. An ack lost on the way only repeats a handler that is safe to run twice."""
        if self._failures:
            for item in items:
                self._failures.pop(item.sequence, None)
        HANDLED.labels(self._durable, "done").inc(len(items))
        if not self._bus.connected:
            return
        open_ones = [item.raw for item in items if not item.raw._ackd]  # noqa: SLF001  # the handler may have settled it
        Direct(self._bus.nc).write(b"".join([b"PUB %b 0\r\n\r\n" % msg.reply.encode() for msg in open_ones]))
        for msg in open_ones:
            msg._ackd = True  # noqa: SLF001

    async def _failed(self, item: Received, verdict: Exception) -> None:
        tries = self._failures[item.sequence] = self._failures.get(item.sequence, 0) + 1
        if await settle_failure(self._bus, item.raw, verdict, tries, self._policy) != "again":
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
