"""Whether anything may leave an account now; asked before every pull and every claim."""

from datetime import datetime, timedelta

from servicekit.clock import utcnow

from channelkit.lane_context import LaneContext

PASSING = frozenset({"starting", "backing_off"})
"""Reasons that pass by themselves within a minute."""


class Gate:
    """The reasons that stop a whole lane, the first that holds named."""

    def __init__(self, ctx: LaneContext) -> None:
        """Open, as far as the lane itself goes."""
        self._ctx = ctx
        self._held_until = 0.0
        self._closed_until = ctx.starts_at
        """Boottime of what `starting` and `backing_off` wait for; 0 once it has passed."""
        self.stopping = False
        self.needs_login = ""
        self.restricted_until: datetime | None = None
        self.restricted_reason = ""

    def reason(self) -> str:  # noqa: PLR0911  # one line per reason
        """Return why nothing may leave, or an empty string."""
        ctx = self._ctx
        if self.stopping:
            return "stopping"
        if not ctx.worker_on():
            return "worker_off"
        if ctx.lease_epoch() is None:
            return "no_lease"
        if self.needs_login:
            return "needs_login"
        if self.restricted_until is not None and self.is_restricted():
            return "restricted"
        if self._closed_until and (reason := self._closed()):
            return reason
        if not ctx.bus.connected:
            return "nats_away"
        return "" if ctx.fresh() else "stale"

    def _closed(self) -> str:
        now = self._ctx.clock.boottime()
        if now >= self._closed_until:
            self._closed_until = 0.0
            return ""
        return "starting" if now < self._ctx.starts_at else "backing_off"

    def is_restricted(self) -> bool:
        """Return whether the platform's restriction still holds; forgets one that is over."""
        if self.restricted_until is not None and self._ctx.clock.utcnow() >= self.restricted_until:
            self.restricted_until, self.restricted_reason = None, ""
        return self.restricted_until is not None

    def restrict(self, until: datetime, reason: str) -> None:
        """Stop until a moment."""
        self.restricted_until, self.restricted_reason = until, reason

    def hold(self, seconds: float) -> None:
        """Stop for a while: the account's connection has trouble."""
        self._held_until = max(self._held_until, self._ctx.clock.boottime() + seconds)
        self._closed_until = max(self._closed_until, self._held_until)

    def opens_at(self) -> datetime | None:
        """Return when it opens by itself, where that is known."""
        if self.restricted_until is not None:
            return self.restricted_until
        left = max(self._ctx.starts_at, self._held_until) - self._ctx.clock.boottime()
        return utcnow() + timedelta(seconds=left) if left > 0 else None
