"""How much of an account's queue is filled ahead, and how long a batch may live. Pure arithmetic."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from contracts.state import Pace

SMALLEST, LARGEST = 2, 2_000
UNLIMITED = LARGEST / 300
"""Messages per second of an account without a pace, for the window's purpose."""


def rate(pace: Pace) -> float | None:
    """Return the messages per second a pace allows, None where it does not limit."""
    if pace.per_second:
        return pace.per_second
    pause = (pace.min_pause_seconds + max(pace.min_pause_seconds, pace.max_pause_seconds)) / 2
    return 1 / pause if pause > 0 else None


def window(pace: Pace, seconds: float) -> int:
    """Return how many messages may wait in an account's queue: *seconds* of its pace, 2 to 2,000."""
    per_second = rate(pace)
    return LARGEST if per_second is None else max(SMALLEST, min(LARGEST, int(per_second * seconds)))


def room(full: int, waiting: int, campaigns: int, own: int) -> int:
    """Return how many messages one of *campaigns* may add to a queue of *waiting*, *own* of them its own.

    Nothing, until a quarter of its share is free: many small batches cost more than few large ones.
    """
    share = max(1, full // max(1, campaigns))
    free = min(full - waiting, share - (waiting if campaigns <= 1 else min(own, waiting)))
    return free if free >= max(1, share // 4) else 0


def rest_seconds(pace: Pace, full: int) -> float:
    """Return after how long another look at a filled queue is worth it: an eighth of the window, 0.1 to 5 s."""
    per_second = rate(pace)
    return 0.1 if per_second is None else max(0.1, min(5.0, full / per_second / 8))


def not_after(now: datetime, pace: Pace, full: int, longest_seconds: float, end: datetime | None) -> datetime:
    """Return a batch's end: time for three windows and ten minutes more, at most *longest_seconds*, never past *end*."""
    per_second = rate(pace) or UNLIMITED
    life = min(longest_seconds, 600 + 3 * full / per_second)
    until = now + timedelta(seconds=life)
    return min(until, end) if end else until


def allowance(override: Mapping[str, Any] | None, paced_until: datetime | None, now: datetime) -> int | None:
    """Return how many messages a campaign's own pace allows now for one account (10 s of it), None: any number."""
    per = float((override or {}).get("seconds_per_message") or 0)
    if per <= 0:
        return None
    behind = (now - paced_until).total_seconds() if paced_until else 0.0
    if paced_until and behind < 0:
        return 0
    return max(1, int(10 / per))
