"""The senders of a lane: each takes the next attempt, lets the channel send it, and hands on what became of it."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import orjson
from servicekit import tasks
from servicekit.deadline import Deadline
from servicekit.errors import Permanent, Unavailable
from servicekit.failpoints import failpoint
from servicekit.logs import get_logger

from channelkit import ends, verdicts
from channelkit.attempts import Attempt, Retained, Stage
from channelkit.claims import Claims
from channelkit.gate import Gate
from channelkit.lane_context import LaneContext
from channelkit.line import Line
from channelkit.outgoing import OutgoingAttempt
from channelkit.pacing import Pacer
from channelkit.protocol import NotClaimed, Outgoing, Sender
from channelkit.settle import Settler
from channelkit.verdicts import Verdict

_log = get_logger("channelkit.lane")
_RIDE_ALONG_SECONDS = 1.0
_CLOSE_SECONDS = 5.0
_STUCK_PAUSE_SECONDS = 1.0
_AWAY = ("nats_away", "media_away")


class Senders:
    """As many senders as the pace has connections; chat channels have one."""

    def __init__(  # noqa: PLR0917  # wired in one place, lane.py
        self,
        ctx: LaneContext,
        gate: Gate,
        line: Line,
        claims: Claims,
        settler: Settler,
        pacer: Pacer,
        kept: Retained,
        *,
        refused: Callable[[Attempt, Exception, Verdict], Awaitable[None]],
        give_back: Callable[[Attempt], Awaitable[None]],
        worked: Callable[[], None],
    ) -> None:
        """*refused* hears every error before it is settled; *worked* that the platform took a message."""
        self._gate = gate
        self._ctx, self._line, self._claims, self._settler, self._pacer = ctx, line, claims, settler, pacer
        self._kept = kept
        self._refused, self._give_back, self._worked = refused, give_back, worked
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._wanted = 0
        self.out: dict[int, Attempt] = {}
        """What each sender is sending now."""

    def resize(self, wanted: int) -> None:
        """Have so many senders; one too many ends when it is idle."""
        self._wanted = wanted
        for index in range(wanted):
            task = self._tasks.get(index)
            if task is None or task.done():
                self._tasks[index] = asyncio.get_running_loop().create_task(self._run(index))
        self._line.wake_all()

    async def stop(self, grace_seconds: float) -> None:
        """Let what is out get its answer, at most for *grace_seconds*; then end."""
        self._wanted = 0
        self._line.wake_all()
        running = list(self._tasks.values())
        if running:
            await asyncio.wait(running, timeout=max(grace_seconds, 0.01))
        await tasks.end(running, again_seconds=1.0)
        self._tasks.clear()

    async def _run(self, index: int) -> None:
        while index < self._wanted:
            sender: Sender | None = None
            try:
                sender = await self._work(index)
            except asyncio.CancelledError:
                raise
            except Exception as error:
                _log.error("a sender failed", account=self._ctx.account_id, exc_info=error)
                await asyncio.sleep(_STUCK_PAUSE_SECONDS)
            finally:
                await _close(sender)

    async def _work(self, index: int) -> Sender | None:
        """Send one after another with one sender, until it is spent or no longer wanted."""
        sender: Sender | None = None
        following: OutgoingAttempt | None = None
        deadline = Deadline()
        try:
            while True:
                out = following or await self._next(index)
                if out is None:
                    return sender
                try:
                    if following is None and not await self._foreseen(out.attempt):
                        continue
                    sender = sender or self._ctx.session.sender()
                    usable, following = await self._one(index, sender, out, deadline)
                finally:
                    self._line.free(out.attempt)
                if not usable:
                    return sender
        except BaseException:
            await _close(sender)
            raise
        finally:
            deadline.close()

    async def _next(self, index: int) -> OutgoingAttempt | None:
        while index < self._wanted:
            if (attempt := self._line.choose()) is not None:
                return OutgoingAttempt(attempt, self._claims)
            await self._line.changed()
        return None

    async def _foreseen(self, attempt: Attempt) -> bool:
        """End what is expired or suppressed before a connection is troubled with its envelope."""
        try:
            await self._claims.foresee(attempt)
        except NotClaimed as error:
            await self._not_claimed(attempt, error)
            return False
        except Exception:
            self._line.add(attempt)  # behind the others: it must neither be lost nor hold them up
            raise
        return True

    async def _one(
        self, index: int, sender: Sender, out: OutgoingAttempt, deadline: Deadline
    ) -> tuple[bool, OutgoingAttempt | None]:
        """Send one; return whether the sender is still good, and what rode along."""
        reserved: OutgoingAttempt | None = None

        def following() -> Outgoing | None:
            nonlocal reserved
            if reserved is None and index < self._wanted:
                reserved = self._reserve()
            return reserved

        self.out[index] = out.attempt
        try:
            usable = await self._send(sender, out, following, deadline)
        except BaseException:
            if reserved is not None:
                self._line.add(reserved.attempt)
            raise
        finally:
            self.out.pop(index, None)
        if reserved is not None and (not usable or index >= self._wanted or self._gate.reason()):
            await _abandon(sender)
            await self._back(reserved.attempt)
            reserved = None
        return usable, reserved

    def _reserve(self) -> OutgoingAttempt | None:
        attempt = self._line.choose(_RIDE_ALONG_SECONDS)
        if attempt is None:
            return None
        if attempt.command.content.body_object:
            self._line.add(attempt, first=True)  # its body must be fetched first
            return None
        return OutgoingAttempt(attempt, self._claims)

    async def _send(
        self, sender: Sender, out: OutgoingAttempt, following: Callable[[], Outgoing | None], deadline: Deadline
    ) -> bool:
        attempt = out.attempt
        try:
            if attempt.command.content.body_object and not await self._fetch_body(out):
                return True
            with deadline(self._ctx.send_timeout_seconds):
                ids = await sender.send(out, following)
        except NotClaimed as error:
            await self._not_claimed(attempt, error)
            return True
        except asyncio.CancelledError:
            self._cut_off(attempt)
            raise
        except Exception as error:
            await self._failed(attempt, error)
            return not isinstance(error, TimeoutError)
        failpoint("lane.after_send")
        self._pacer.sent()
        self._worked()
        await self._settler.sent(attempt, ids)
        return True

    async def _not_claimed(self, attempt: Attempt, error: NotClaimed) -> None:
        if attempt.end is not None:
            _log.info("not sent", attempt=attempt.command.attempt, why=str(error), end=attempt.end.state)
            self._line.uncount(attempt)
            self._settler.finish(attempt)
        elif attempt.stage is Stage.WAITING:
            self._line.add_later(attempt, attempt.due)
        elif str(error) == "in_other_hands":
            self._kept.attempts.pop(attempt.key, None)
        else:
            if str(error) in _AWAY:
                self._gate.hold(_STUCK_PAUSE_SECONDS)
            await self._back(attempt)

    async def _back(self, attempt: Attempt) -> None:
        """Give a command back, or keep it in line where its claim is ours already."""
        if attempt.claimed:
            self._line.uncount(attempt)
            self._line.add(attempt, first=True)
        else:
            await self._give_back(attempt)

    async def _failed(self, attempt: Attempt, error: Exception) -> None:
        verdict = verdicts.judge(error, attempt, self._ctx, self._kept.token)
        try:
            if verdict.end is not None and verdict.end.state == "unknown" and self._ctx.capabilities.can_ask:
                verdict = verdicts.asked(verdict, await self._ask(attempt), attempt, self._ctx, self._kept.token)
            if attempt.claimed:
                self._pacer.sent()
            await self._refused(attempt, error, verdict)
        finally:  # also where the lane ends just now: claimed and without its end, it would be sent again
            await self._follow(attempt, verdict)

    async def _follow(self, attempt: Attempt, verdict: Verdict) -> None:
        attempt.tries, attempt.doubtful = verdict.tries, attempt.doubtful or verdict.doubtful
        again = None if verdict.again_after is None else self._ctx.clock.boottime() + verdict.again_after
        if verdict.end is not None:
            attempt.end, attempt.due = verdict.end, again or 0.0
            self._settler.finish(attempt)
        elif again is not None:
            self._line.add_later(attempt, again)
        else:
            await self._back(attempt)

    async def _ask(self, attempt: Attempt) -> bool | None:
        try:
            async with asyncio.timeout(self._ctx.send_timeout_seconds):
                return await self._claims.was_sent(attempt)
        except Exception as error:
            _log.warning("the platform could not be asked", attempt=attempt.command.attempt, error=repr(error)[:200])
            return None

    async def _fetch_body(self, out: OutgoingAttempt) -> bool:
        """Put a large body into the command. Where it is missing, the attempt fails and leaves a dead letter."""
        attempt, content = out.attempt, out.command.content
        assert content.body_object is not None
        try:
            body = orjson.loads(await self._ctx.host.get_media(content.body_object))
            full = content.model_copy(update={"text": body["text"], "html": body["html"], "body_object": None})
        except (Permanent, ValueError, KeyError, TypeError) as error:
            now = self._ctx.clock.utcnow()
            reason = "attachment_missing" if isinstance(error, Permanent) else "body_malformed"
            attempt.end = ends.end("failed", now, reason, str(error), tries=attempt.tries + 1, token=self._kept.token)
            self._settler.finish(attempt)
            return False
        except Unavailable as error:
            raise NotClaimed("media_away") from error
        attempt.command = out.command = attempt.command.model_copy(update={"content": full})
        return True

    def _cut_off(self, attempt: Attempt) -> None:
        """The lane ends while the message is out: nobody will hear the answer."""
        if not attempt.claimed or attempt.end is not None:
            return
        if self._ctx.capabilities.idempotent_send:
            attempt.doubtful = True  # whoever comes next sends it again
        else:
            now = self._ctx.clock.utcnow()
            attempt.end = ends.end(
                "unknown", now, "no_answer", "stopped while sending",
                tries=attempt.tries + 1, token=self._kept.token, parts_done=list(attempt.parts_done),
            )  # fmt: skip
            self._settler.finish(attempt)


async def _close(sender: Sender | None) -> None:
    if sender is not None:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await sender.close()


async def _abandon(sender: Sender) -> None:
    with contextlib.suppress(Exception):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await sender.abandon()
