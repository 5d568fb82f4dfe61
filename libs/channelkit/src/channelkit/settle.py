"""Writing down how an attempt ended: ledger, event, dead letter, and the acknowledgement of its command, in that order.

Only `sent` goes to ledger and stream together. Everything is repeated until it is confirmed, and safe to repeat.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import nats.errors
from contracts import subjects
from contracts.headers import cloud_event
from contracts.inbox import Outcome
from contracts.state import LedgerEntry
from nats.js import errors as js_errors
from servicekit import tasks
from servicekit.delivery.settle import dead_letter
from servicekit.direct import Delivery, block
from servicekit.errors import Conflict, Permanent, Unavailable
from servicekit.failpoints import failpoint, failpoint_flushed
from servicekit.ledger import Ledger
from servicekit.logs import get_logger
from servicekit.pipe import stored
from servicekit.tracing import TRACEPARENT

from channelkit import ends, ready
from channelkit.attempts import Attempt, Retained, Stage
from channelkit.lane_context import LaneContext

_log = get_logger("channelkit.lane")
_TROUBLE = (Unavailable, nats.errors.Error, js_errors.Error, TimeoutError, OSError)
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0
_ACK_SECONDS = 5.0
_ACK_TRIES = 3
_BOTH = 2
_TRACEPARENT = TRACEPARENT.encode()


class Settler:
    """Settles the attempts of one lane. Callbacks: *released* (it may be tried again), *gone* (nothing is left to do)."""

    def __init__(
        self,
        ctx: LaneContext,
        ledger: Ledger,
        kept: Retained,
        released: Callable[[Attempt], None],
        gone: Callable[[Attempt], None],
    ) -> None:
        """Idle until `start`."""
        self._ctx, self._ledger, self._kept = ctx, ledger, kept
        self._released, self._gone = released, gone
        self._events = ready.SentEvents(ctx.channel, ctx.account_id, ctx.bus.source)
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin, with what an earlier lane of this process could not finish."""
        for attempt in list(self._kept.attempts.values()):
            if attempt.end is not None:
                self.finish(attempt)

    async def stop(self) -> None:
        """Stop at once; what is unfinished stays known to this process."""
        await tasks.end(self._tasks)

    async def sent(self, attempt: Attempt, platform_ids: Sequence[str]) -> None:
        """The platform took it. Returns once both writes have left; the rest follows by itself."""
        attempt.stage = Stage.SETTLING
        at, tries = self._ctx.clock.utcnow(), attempt.tries + 1
        attempt.end = LedgerEntry(
            state="sent", token=self._kept.token, platform_ids=list(platform_ids), tries=tries, at=at
        )
        attempt.answers = 0
        try:
            entry = ready.sent(self._kept.token, tries, platform_ids, at)
            self._ledger.post(attempt.key, entry, attempt.revision, partial(self._on_written, attempt))
            await failpoint_flushed("lane.after_ledger")
            data, head = self._sent_event(attempt, tries, platform_ids, at)
            self._ctx.bus.pipe.post(self._events.subject, data, partial(self._on_announced, attempt), head)
        except Exception as error:  # whatever it is, what was sent must be told
            _log.warning("an outcome is written anew", attempt=attempt.command.attempt, error=repr(error)[:200])
            self.finish(attempt)
        except asyncio.CancelledError:  # the lane ends: what is known must still be written
            self.finish(attempt)
            raise

    def finish(self, attempt: Attempt) -> None:
        """Do whatever of `attempt.end` is not done yet, for as long as it takes."""
        attempt.stage = Stage.SETTLING
        self._spawn(self._finish(attempt))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _on_written(self, attempt: Attempt, answer: Delivery | None, _: Exception | None) -> None:
        attempt.written = stored(answer)
        self._on_answer(attempt)

    def _on_announced(self, attempt: Attempt, answer: Delivery | None, _: Exception | None) -> None:
        attempt.announced = stored(answer)
        failpoint("lane.after_event")
        self._on_answer(attempt)

    def _on_answer(self, attempt: Attempt) -> None:
        attempt.answers += 1
        if attempt.answers < _BOTH:
            return
        if attempt.written and attempt.announced and len(attempt.replies) == 1:
            self._acknowledge_soon(attempt)
        else:
            self.finish(attempt)

    def _acknowledge_soon(self, attempt: Attempt) -> None:
        try:
            failpoint("lane.before_ack")
            (reply,) = attempt.replies.values()
            self._ctx.bus.pipe.post(reply, b"+ACK", partial(self._on_acknowledged, attempt), soon=True)
        except _TROUBLE:
            self.finish(attempt)

    def _on_acknowledged(self, attempt: Attempt, answer: Delivery | None, _: Exception | None) -> None:
        if answer is not None and len(attempt.replies) == 1:
            self._forget(attempt)
        else:
            self.finish(attempt)

    async def _finish(self, attempt: Attempt) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                self._ctx.bus.require()
                if await self._finish_once(attempt):
                    return
            except _TROUBLE as error:
                _log.warning("an outcome waits", attempt=attempt.command.attempt, error=repr(error)[:200])
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _finish_once(self, attempt: Attempt) -> bool:
        if not attempt.written and not await self._write(attempt):
            self._forget(attempt)  # it is in other hands
            return True
        entry = attempt.end
        assert entry is not None
        if entry.state == "released":
            self._released(attempt)
            return True
        if not attempt.announced:
            failpoint("lane.after_refusal")
            event = ends.outcome(self._ctx.channel, attempt.command, entry)
            subject, data, headers = self._message(attempt, event)
            await self._ctx.bus.js.publish(subject, data, timeout=5, headers=headers)
            attempt.announced = True
        if entry.state == "failed" and entry.reason in ends.DEAD_LETTERS and not attempt.buried:
            await self._bury(attempt, entry)
        await self._acknowledge(attempt)
        self._forget(attempt)
        return True

    async def _write(self, attempt: Attempt) -> bool:
        """Write the end into the ledger, or learn there how it truly ended. False: the attempt is in other hands."""
        while True:
            assert attempt.end is not None
            try:
                attempt.revision = await self._ledger.write(attempt.key, attempt.end, attempt.revision)
            except Conflict:
                if not await self._resolve(attempt):
                    return False
                if attempt.written:
                    return True
            else:
                attempt.written = True
                return True

    async def _resolve(self, attempt: Attempt) -> bool:
        assert attempt.end is not None
        found = await self._ledger.read(attempt.key)
        resolution = ends.resolve(
            attempt.end,
            found,
            self._kept.token,
            held=attempt.claimed,
            idempotent=self._ctx.capabilities.idempotent_send,
        )
        if resolution.entry is None:
            return False
        attempt.end, attempt.revision, attempt.written = resolution.entry, resolution.revision, resolution.stands
        return True

    async def _bury(self, attempt: Attempt, entry: LedgerEntry) -> None:
        try:
            msg = await attempt.delivery.message(self._ctx.bus.nc)
            await dead_letter(self._ctx.bus, msg, Permanent(entry.reason, entry.detail), entry.tries)
        except nats.errors.MaxPayloadError:
            _log.error("too large for a dead letter", attempt=attempt.command.attempt, reason=entry.reason)
        attempt.buried = True

    async def _acknowledge(self, attempt: Attempt) -> None:
        """Acknowledge every delivery. One that gets no answer is left to its redelivery: the ledger knows the end."""
        for sequence, reply in list(attempt.replies.items()):
            for _ in range(_ACK_TRIES):
                try:
                    await self._ctx.bus.nc.request(reply.decode(), b"+ACK", timeout=_ACK_SECONDS)
                    break
                except nats.errors.TimeoutError:
                    self._ctx.bus.require()
            attempt.replies.pop(sequence, None)

    def _sent_event(
        self, attempt: Attempt, tries: int, platform_ids: Sequence[str], at: datetime
    ) -> tuple[bytes, bytes]:
        command = attempt.command
        if command.is_outside:  # its event says what campaigns needs for a row
            assert attempt.end is not None
            _, data, headers = self._message(attempt, ends.outcome(self._ctx.channel, command, attempt.end))
            return data, block(headers)
        trace = attempt.delivery.header(_TRACEPARENT)
        return self._events.data(command, tries, platform_ids, at), self._events.head(command, at, trace)

    def _message(self, attempt: Attempt, event: Outcome) -> tuple[str, bytes, dict[str, str]]:
        what = event.NAME.rpartition(".")[2]
        command = attempt.command
        headers = cloud_event(event, f"{command.attempt}.{command.wanted}.{what}", self._ctx.bus.source)
        if (trace := attempt.delivery.header(_TRACEPARENT)) is not None:
            headers[TRACEPARENT] = trace.decode("ascii", "replace")
        data = event.model_dump_json().encode()
        return subjects.inbox(self._ctx.channel, self._ctx.account_id, what), data, headers

    def _forget(self, attempt: Attempt) -> None:
        if self._kept.attempts.get(attempt.key) is attempt:
            del self._kept.attempts[attempt.key]
        self._gone(attempt)
