"""How fast an account sends in bulk: pause or rate, daily cap, warm-up, quiet hours. Pure: time comes from outside."""

import math
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from contracts.state import Pace, QuietHours

DEFAULT_ZONE = "Asia/Jakarta"
_CATCH_UP_SECONDS = 0.25
"""A late wake-up may be made good so far: without it no event loop reaches the rate that was asked for."""
_RATE_AHEAD_SECONDS = 2.0
_ONE_AT_A_TIME_SECONDS = 1.0


def zone_of(pace: Pace) -> ZoneInfo:
    """Return the time zone in which the account's days and quiet hours count; an unknown name means the default."""
    name = pace.quiet_hours.time_zone if pace.quiet_hours else DEFAULT_ZONE
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo(DEFAULT_ZONE)


def day_of(pace: Pace, now: datetime) -> str:
    """Return the day the cap counts for, YYYY-MM-DD."""
    return now.astimezone(zone_of(pace)).date().isoformat()


def next_day(pace: Pace, now: datetime) -> datetime:
    """Return when the next day begins, in UTC's instants."""
    zone = zone_of(pace)
    return datetime.combine(now.astimezone(zone).date() + timedelta(days=1), time(), zone)


def cap_of(pace: Pace, warm_up_since: str, day: str) -> int | None:
    """Return how many bulk messages the day allows; None: any number."""
    if pace.warm_up is None:
        return pace.daily_cap
    days = (date.fromisoformat(day) - date.fromisoformat(warm_up_since or day)).days
    growth = math.log(pace.warm_up.first_day) + max(0, days) * math.log(pace.warm_up.growth)
    grown = math.floor(math.exp(growth) + 1e-6) if growth < math.log(1e9) else None
    caps = [cap for cap in (grown, pace.daily_cap) if cap is not None]
    return min(caps) if caps else None


def quiet_until(quiet: QuietHours | None, now: datetime, zone: ZoneInfo) -> datetime | None:
    """Return the end of the quiet hours *now* lies in, or None. `start` = `end` means never quiet."""
    if quiet is None or quiet.start == quiet.end:
        return None
    local = now.astimezone(zone)
    start, end = time.fromisoformat(quiet.start), time.fromisoformat(quiet.end)
    at = local.time()
    if start < end:
        return datetime.combine(local.date(), end, zone) if start <= at < end else None
    if at >= start:
        return datetime.combine(local.date() + timedelta(days=1), end, zone)
    return datetime.combine(local.date(), end, zone) if at < end else None


class Pacer:
    """Hands out the moments (boottime, seconds) at which bulk messages may leave."""

    def __init__(self, boottime: Callable[[], float], random: Random | None = None) -> None:
        """Begin without a pause; `begin` says otherwise."""
        self._now, self._random = boottime, random or Random()  # noqa: S311  # a pause is no secret
        self._pace = Pace()
        self._next = -math.inf
        self._drawn = 0.0
        self.is_paused = False
        """Whether a pause stands between messages (else a rate, or nothing)."""

    def apply(self, pace: Pace) -> None:
        """Take a new pace; a longer wait than it would give is shortened to it."""
        if pace == self._pace:
            return
        self._pace = pace
        self.is_paused = pace.max_pause_seconds > 0 or pace.min_pause_seconds > 0
        longest = max(pace.max_pause_seconds, pace.min_pause_seconds, 1 / pace.per_second if pace.per_second else 0)
        self._next = min(self._next, self._now() + longest)

    def begin(self, *, full_pause: bool) -> None:
        """Start: a new holder begins with a full pause, since the last send may be a moment ago."""
        self._next = self._now() + self._draw() if full_pause and self.is_paused else -math.inf

    def wait(self) -> float:
        """Return the seconds until the next message may leave, 0 if it may now."""
        return max(0.0, self._next - self._now()) if self._next > -math.inf else 0.0

    def reserve(self) -> float:
        """Take the next moment and return it; 0 where nothing holds it."""
        if self._next == -math.inf and not (self.is_paused or self._pace.per_second):
            return 0.0
        now, slot = self._now(), max(self._next, self._now())
        if self.is_paused:
            self._drawn = self._draw()
            self._next = slot + self._drawn
        elif self._pace.per_second:
            self._next = max(self._next, now - _CATCH_UP_SECONDS) + 1 / self._pace.per_second
        return slot

    def sent(self) -> None:
        """A message has just left: its pause counts from now."""
        if self.is_paused:
            self._next = max(self._next, self._now() + self._drawn)

    def batch(self, most: int) -> int:
        """Return how many messages to pull at once: what is due soon, not a day's worth."""
        if self.is_paused:
            return 1 if self._pace.max_pause_seconds >= _ONE_AT_A_TIME_SECONDS else min(most, 8)
        if self._pace.per_second:
            return max(1, min(most, math.ceil(self._pace.per_second * _RATE_AHEAD_SECONDS)))
        return most

    def _draw(self) -> float:
        low = self._pace.min_pause_seconds
        return self._random.uniform(low, max(low, self._pace.max_pause_seconds))
