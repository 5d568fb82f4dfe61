"""Time: the wall's for people and messages, the machine's for leases. Injectable, so that tests need not wait."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol


def utcnow() -> datetime:
    """Return now, aware, in UTC."""
    return datetime.now(UTC)


def iso(at: datetime | None = None) -> str:
    """Return a moment (default: now) as ISO 8601 with milliseconds."""
    return (at or utcnow()).isoformat(timespec="milliseconds")


def boottime() -> float:
    """Return seconds since boot, suspension included (CLOCK_BOOTTIME): a laptop that slept has lost its leases."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Clock(Protocol):
    """What code that depends on time takes as an argument."""

    def utcnow(self) -> datetime:
        """Return now, aware, in UTC."""
        ...

    def boottime(self) -> float:
        """Return seconds since boot."""
        ...


class SystemClock:
    """The real clock."""

    def utcnow(self) -> datetime:
        """Return now, aware, in UTC."""
        return utcnow()

    def boottime(self) -> float:
        """Return seconds since boot, suspension included."""
        return boottime()


@dataclass
class FixedClock:
    """A clock that stands still until it is moved; for tests."""

    now: datetime = field(default_factory=utcnow)
    seconds: float = 1_000.0

    def utcnow(self) -> datetime:
        """Return the moment set."""
        return self.now

    def boottime(self) -> float:
        """Return the seconds set."""
        return self.seconds

    def advance(self, seconds: float) -> None:
        """Move both clocks on."""
        self.now += timedelta(seconds=seconds)
        self.seconds += seconds
