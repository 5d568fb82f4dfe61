"""What a sender's error means for its attempt and for the account. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from contracts.state import LedgerEntry
from servicekit.errors import Permanent, Retry

from channelkit import ends
from channelkit.attempts import Attempt
from channelkit.lane_context import LaneContext
from channelkit.protocol import NeedsLogin, OutcomeUnknown, Restricted

_CRASH_PAUSE_SECONDS = 5.0
_LONGEST_HOLD_SECONDS = 60.0


@dataclass(frozen=True)
class Verdict:
    """`end` None: nothing was claimed and nothing is written, the command is given back."""

    end: LedgerEntry | None
    tries: int
    doubtful: bool = False
    """It may have gone out on an idempotent platform: the claim is kept, and it is sent again."""
    again_after: float | None = None
    """Seconds until the lane itself tries again."""
    hold: float = 0.0
    """Seconds for which the account's connection is left alone."""


def judge(error: Exception, attempt: Attempt, ctx: LaneContext, token: str) -> Verdict:  # noqa: PLR0911  # one line per kind
    """Return what follows from *error*, raised by a sender for *attempt*."""
    now = ctx.clock.utcnow()
    common: dict[str, Any] = {"token": token, "parts_done": list(attempt.parts_done)}
    if isinstance(error, NeedsLogin | Restricted):
        if attempt.doubtful:  # an earlier try may be out: released, it could be called cancelled
            return Verdict(None, attempt.tries, doubtful=True)
        end = ends.end("released", now, tries=attempt.tries, **common) if attempt.claimed else None
        return Verdict(end, attempt.tries)
    if isinstance(error, Permanent):
        return _failed(error, attempt, now, common)
    if isinstance(error, OutcomeUnknown | TimeoutError) and attempt.claimed:
        return _unknown(error, attempt, ctx, now, common)
    if _is_connection_trouble(error, attempt):
        return _no_connection(error, attempt, now, common)
    if isinstance(error, Retry):
        return _again(error.detail, error.after_seconds, attempt, ctx, now, common)
    if attempt.claimed and not ctx.capabilities.idempotent_send:
        return _unknown(error, attempt, ctx, now, common)
    return _again(f"{type(error).__name__}: {error}", _CRASH_PAUSE_SECONDS, attempt, ctx, now, common)


def _is_connection_trouble(error: Exception, attempt: Attempt) -> bool:
    """Return whether the connection failed and nothing was sent: a sender's Retry says so even after the claim."""
    if isinstance(error, OSError):
        return not attempt.claimed
    return isinstance(error.__cause__, OSError) and (isinstance(error, Retry) or not attempt.claimed)


def _no_connection(error: Exception, attempt: Attempt, now: datetime, common: dict[str, Any]) -> Verdict:
    """Not the recipient's fault: no try is counted, the account waits."""
    seconds = error.after_seconds if isinstance(error, Retry) else _CRASH_PAUSE_SECONDS
    hold = min(max(seconds, 1.0), _LONGEST_HOLD_SECONDS)
    if attempt.doubtful:
        return Verdict(None, attempt.tries, doubtful=True, again_after=hold, hold=hold)
    end = ends.end("released", now, tries=attempt.tries, **common) if attempt.claimed else None
    return Verdict(end, attempt.tries, hold=hold)


def _failed(error: Permanent, attempt: Attempt, now: datetime, common: dict[str, Any]) -> Verdict:
    tries = attempt.tries + 1
    return Verdict(ends.end("failed", now, error.reason, error.detail, tries=tries, **common), tries)


def _unknown(error: Exception, attempt: Attempt, ctx: LaneContext, now: datetime, common: dict[str, Any]) -> Verdict:
    tries = attempt.tries + 1
    detail = str(error) or type(error).__name__
    if ctx.capabilities.idempotent_send and tries < ctx.settings.tries_limit:
        return Verdict(None, tries, doubtful=True, again_after=_CRASH_PAUSE_SECONDS)
    reason = "no_answer" if isinstance(error, OutcomeUnknown | TimeoutError) else "crashed"
    return Verdict(ends.end("unknown", now, reason, detail, tries=tries, **common), tries)


def _again(  # noqa: PLR0917  # what every verdict is made of
    detail: str, seconds: float, attempt: Attempt, ctx: LaneContext, now: datetime, common: dict[str, Any]
) -> Verdict:
    tries = attempt.tries + 1
    not_before = now + timedelta(seconds=max(0.0, seconds))
    idempotent = ctx.capabilities.idempotent_send
    if tries >= ctx.settings.tries_limit:
        entry = ends.end("failed", now, "exhausted", detail, tries=tries, **common)
        if attempt.doubtful:
            entry = ends.unsent(entry, "failed", "exhausted", idempotent=idempotent, doubtful=True)
        return Verdict(entry, tries)
    if attempt.doubtful:
        return Verdict(None, tries, doubtful=True, again_after=min(seconds, ctx.settings.local_retry_seconds))
    entry = ends.end("released", now, "refused", detail, tries=tries, not_before=not_before, **common)
    if seconds <= ctx.settings.local_retry_seconds:
        return Verdict(entry, tries, again_after=max(0.0, seconds))
    ended = ends.unsent(entry, "cancelled", "retry", idempotent=idempotent)
    return Verdict(ended.model_copy(update={"not_before": not_before}), tries)


def asked(verdict: Verdict, answer: bool | None, attempt: Attempt, ctx: LaneContext, token: str) -> Verdict:
    """Return the verdict after the platform was asked whether it knows the message; None: it cannot tell."""
    now = ctx.clock.utcnow()
    common: dict[str, Any] = {"token": token, "parts_done": list(attempt.parts_done)}
    if answer is True:
        parts = list(attempt.parts_done)
        return Verdict(ends.end("sent", now, platform_ids=parts, tries=verdict.tries, token=token), verdict.tries)
    if answer is False:
        return _again("the platform does not know it", 1.0, attempt, ctx, now, common)
    return verdict
