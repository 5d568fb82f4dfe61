"""What a refusal means for the whole account: restricted, logged out, no connection; and its line in the Logs tab."""

from collections.abc import Callable
from datetime import datetime, timedelta

from contracts.state import SessionStatus
from servicekit.errors import KurirError
from servicekit.logs import get_logger

from channelkit.attempts import Attempt
from channelkit.gate import Gate
from channelkit.lane_context import LaneContext
from channelkit.lane_memory import LaneMemory
from channelkit.protocol import NeedsLogin, Restricted
from channelkit.verdicts import Verdict

_log = get_logger("channelkit.lane")
_LONGEST_HOLD_SECONDS = 60.0
_DEGRADED_AFTER = 3
_TEXT = 1_900


class Trouble:
    """Listens to refusals; stops the lane where the account itself is meant."""

    def __init__(self, ctx: LaneContext, gate: Gate, memory: LaneMemory, kick: Callable[[], None]) -> None:
        """*kick*: lets the lane look at its gate again."""
        self._ctx, self._gate, self._memory, self._kick = ctx, gate, memory, kick
        self._without_connection = 0
        self._held_until = 0.0
        self._reported = False
        self._recovering: bool = False

    async def refused(self, attempt: Attempt, error: Exception, verdict: Verdict) -> None:
        """A sender raised *error*."""
        if isinstance(error, Restricted):
            await self._restricted(error)
        elif isinstance(error, NeedsLogin):
            self._gate.needs_login = str(error) or "logged_out"
            await self._report(SessionStatus.LOGGED_OUT, self._gate.needs_login)
        elif verdict.hold:
            await self._no_connection(error, verdict.hold)
        await self._write_line(attempt, error, verdict)
        if self._gate.reason():
            self._kick()

    def worked(self) -> None:
        """The platform took a message."""
        self._without_connection = 0
        self._recovering = self._reported

    async def recovered(self) -> None:
        """Say so, once, after trouble that was reported."""
        if self._recovering:
            self._recovering = self._reported = False
            await self._report(SessionStatus.READY, "")

    async def _restricted(self, error: Restricted) -> None:
        self._gate.restrict(error.until, error.reason)
        self._reported = True
        try:
            await self._memory.write(restricted_until=error.until, restricted_reason=error.reason)
        except KurirError as problem:
            _log.error("a restriction could not be written down", account=self._ctx.account_id, error=str(problem))
        await self._report(SessionStatus.DEGRADED, error.reason)

    async def _no_connection(self, error: Exception, seconds: float) -> None:
        now = self._ctx.clock.boottime()
        if now >= self._held_until:  # the other connections of the same moment count as one
            seconds = min(seconds * 2**self._without_connection, _LONGEST_HOLD_SECONDS)
            self._without_connection = min(self._without_connection + 1, 10)
            self._held_until = now + seconds
            self._gate.hold(seconds)
        if self._without_connection >= _DEGRADED_AFTER and not self._reported:
            self._reported = True
            await self._report(SessionStatus.DEGRADED, _words(error))

    async def _report(self, status: SessionStatus, reason: str) -> None:
        try:
            await self._ctx.host.report(status, reason)
        except Exception as problem:
            _log.warning("a state could not be reported", account=self._ctx.account_id, error=repr(problem)[:200])

    async def _write_line(self, attempt: Attempt, error: Exception, verdict: Verdict) -> None:
        again = self._again_at(verdict)
        state = verdict.end.state if verdict.end else "waits"
        text = f"try {verdict.tries}: {_words(error)}: {state}" + (
            f", again {again:%Y-%m-%d %H:%M:%S} UTC" if again else ""
        )
        final = verdict.end is not None and verdict.end.state in ("failed", "unknown")
        try:
            await self._ctx.host.log("error" if final else "warning", text[:_TEXT], attempt.command.row)
        except Exception as problem:
            _log.warning("a log line was lost", account=self._ctx.account_id, error=repr(problem)[:200], text=text)

    def _again_at(self, verdict: Verdict) -> datetime | None:
        if self._gate.restricted_until is not None:
            return self._gate.restricted_until
        if verdict.end is not None and verdict.end.not_before is not None:
            return verdict.end.not_before
        seconds = verdict.again_after if verdict.again_after is not None else verdict.hold
        return self._ctx.clock.utcnow() + timedelta(seconds=seconds) if seconds else None


def _words(error: Exception) -> str:
    if isinstance(error, Restricted):
        return error.reason
    if isinstance(error, KurirError):
        return error.detail or error.reason
    return str(error) or type(error).__name__
