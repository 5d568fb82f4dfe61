"""Writing down how an attempt ended: ledger, event, dead letter, and the acknowledgement of its command, in that order.

Only `sent` goes to ledger and stream together. Everything is repeated until it is confirmed, and safe to repeat.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Literal

import nats.errors
from contracts import subjects
from contracts.headers import cloud_event
from contracts.inbox import Outcome
from contracts.state import LedgerEntry
from nats.js import errors as js_errors
from servicekit import tasks
from servicekit.delivery.settle import dead_letter
from servicekit.errors import Conflict, Permanent, Unavailable
from servicekit.failpoints import failpoint, failpoint_flushed
from servicekit.ledger import Ledger
from servicekit.logs import get_logger

from channelkit import ends
from channelkit.attempts import Attempt, Retained, Stage
from channelkit.lane_context import LaneContext

_log = get_logger("channelkit.lane")
_TROUBLE = (Unavailable, nats.errors.Error, js_errors.Error, TimeoutError, OSError)
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0
_ACK_SECONDS = 5.0
_ACK_TRIES = 3
_BOTH = 2


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
        self._to_acknowledge: deque[Attempt] = deque()
        self._work = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin, with what an earlier lane of this process could not finish."""
        self._spawn(self._acknowledge_all())
        for attempt in list(self._kept.attempts.values()):
            if attempt.end is not None:
                self.finish(attempt)

    async def stop(self) -> None:
        """Stop at once; what is unfinished stays known to this process."""
        await tasks.end(self._tasks)

    async def sent(self, attempt: Attempt, platform_ids: Sequence[str]) -> None:
        """The platform took it. Returns once both writes have left; the rest follows by itself."""
        attempt.stage = Stage.SETTLING
        attempt.end = entry = LedgerEntry(
            state="sent",
            token=self._kept.token,
            platform_ids=list(platform_ids),
            tries=attempt.tries + 1,
            at=self._ctx.clock.utcnow(),
        )
        try:
            event = ends.outcome(self._ctx.channel, attempt.command, entry)
            written = await self._ledger.offer(attempt.key, entry, attempt.revision)
            await failpoint_flushed("lane.after_ledger")
            announced = await self._ctx.bus.pipe.publish(*self._message(attempt, event))
        except _TROUBLE:
            self.finish(attempt)
            return
        except asyncio.CancelledError:  # the lane ends while NATS is slow: what is known must still be written
            self.finish(attempt)
            raise
        attempt.answers = 0
        written.add_done_callback(partial(self._on_answer, attempt, "written"))
        announced.add_done_callback(partial(self._on_answer, attempt, "announced"))

    def finish(self, attempt: Attempt) -> None:
        """Do whatever of `attempt.end` is not done yet, for as long as it takes."""
        attempt.stage = Stage.SETTLING
        self._spawn(self._finish(attempt))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _on_answer(
        self, attempt: Attempt, what: Literal["written", "announced"], answer: "asyncio.Future[Any]"
    ) -> None:
        setattr(attempt, what, _went_well(answer))
        if what == "announced":
            failpoint("lane.after_event")
        attempt.answers += 1
        if attempt.answers < _BOTH:
            return
        if attempt.written and attempt.announced:
            self._to_acknowledge.append(attempt)
            self._work.set()
        else:
            self.finish(attempt)

    async def _acknowledge_all(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            while self._to_acknowledge:
                await self._acknowledge_one(self._to_acknowledge.popleft())

    async def _acknowledge_one(self, attempt: Attempt) -> None:
        replies = list(attempt.replies.values())
        if len(replies) > 1 or not self._ctx.bus.connected:
            return self.finish(attempt)
        failpoint("lane.before_ack")
        try:
            answer = await self._ctx.bus.pipe.ask(replies[0], b"+ACK")
        except _TROUBLE:
            return self.finish(attempt)
        answer.add_done_callback(partial(self._on_acknowledged, attempt))
        return None

    def _on_acknowledged(self, attempt: Attempt, answer: "asyncio.Future[Any]") -> None:
        if _went_well(answer) and len(attempt.replies) == 1:
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
            await dead_letter(self._ctx.bus, attempt.msg, Permanent(entry.reason, entry.detail), entry.tries)
        except nats.errors.MaxPayloadError:
            _log.error("too large for a dead letter", attempt=attempt.command.attempt, reason=entry.reason)
        attempt.buried = True

    async def _acknowledge(self, attempt: Attempt) -> None:
        """Acknowledge every delivery. One that gets no answer is left to its redelivery: the ledger knows the end."""
        for sequence, reply in list(attempt.replies.items()):
            for _ in range(_ACK_TRIES):
                try:
                    await self._ctx.bus.nc.request(reply, b"+ACK", timeout=_ACK_SECONDS)
                    break
                except nats.errors.TimeoutError:
                    self._ctx.bus.require()
            attempt.replies.pop(sequence, None)

    def _message(self, attempt: Attempt, event: Outcome) -> tuple[str, bytes, dict[str, str]]:
        what = event.NAME.rpartition(".")[2]
        command = attempt.command
        headers = cloud_event(event, f"{command.attempt}.{command.wanted}.{what}", self._ctx.bus.source)
        if (trace := (attempt.msg.headers or {}).get("traceparent")) is not None:
            headers["traceparent"] = trace
        data = event.model_dump_json().encode()
        return subjects.inbox(self._ctx.channel, self._ctx.account_id, what), data, headers

    def _forget(self, attempt: Attempt) -> None:
        if self._kept.attempts.get(attempt.key) is attempt:
            del self._kept.attempts[attempt.key]
        self._gone(attempt)


def _went_well(answer: "asyncio.Future[Any]") -> bool:
    return answer.done() and not answer.cancelled() and answer.exception() is None
