"""Time: the wall's for people and messages, the machine's for leases. Injectable, so that tests need not wait.

Where KURIR_CLOCK_OFFSET_FILE names a file, both clocks of a whole process run ahead by the seconds it holds: that is how
a test of real processes lives through half a day. It is read only at the start whether there is one.
"""

import os
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Protocol

OFFSET_VARIABLE = "KURIR_CLOCK_OFFSET_FILE"
_offset_file = Path(os.environ[OFFSET_VARIABLE]) if os.environ.get(OFFSET_VARIABLE) else None


_machine_seconds = (
    partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
)


def _ahead() -> float:
    """Return the seconds this process's clocks run ahead; 0 while nobody has moved them."""
    try:
        return float(_offset_file.read_text("ascii")) if _offset_file else 0.0
    except FileNotFoundError:
        return 0.0


def utcnow() -> datetime:
    """Return now, aware, in UTC."""
    now = datetime.now(UTC)
    return now if _offset_file is None else now + timedelta(seconds=_ahead())


def iso(at: datetime | None = None) -> str:
    """Return a moment (default: now) as ISO 8601 with milliseconds."""
    return (at or utcnow()).isoformat(timespec="milliseconds")


def boottime() -> float:
    """Return seconds since boot, suspension included (CLOCK_BOOTTIME): a laptop that slept has lost its leases."""
    now = _machine_seconds()
    return now if _offset_file is None else now + _ahead()


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

    utcnow = staticmethod(utcnow)
    boottime = staticmethod(boottime)


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
