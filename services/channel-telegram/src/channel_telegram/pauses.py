"""How long an account waits before it begins anew."""

import random

from servicekit.clock import boottime
from servicekit.errors import KurirError

from channel_telegram.client.errors import TelegramError

_LONGEST_SECONDS = 60.0
_STEADY_SECONDS = 10.0
"""Having lived for so long, a connection was a good one."""
_UNSAID_SECONDS = 60.0


class Pauses:
    """Nothing after a break, longer and longer where what follows breaks as well; what Telegram asks for at the least."""

    def __init__(self, first_seconds: float) -> None:
        self._first, self._next = first_seconds, 0.0
        self._entered_at: float | None = None

    def entered(self) -> None:
        """A connection knows who it is."""
        self._entered_at = boottime()

    def after(self, error: Exception) -> float:
        """Return the seconds to wait."""
        if self._entered_at is not None and boottime() - self._entered_at >= _STEADY_SECONDS:
            self._next = 0.0
        self._entered_at = None
        base = self._next if not isinstance(error, KurirError) else max(self._next, self._first)
        self._next = min(max(self._next * 2, self._first), _LONGEST_SECONDS)
        return max(base * random.uniform(0.5, 1.0), asked(error))  # noqa: S311  # accounts must not march


def asked(error: Exception) -> float:
    """Return the seconds Telegram asks an account to wait."""
    if isinstance(error, TelegramError) and error.code == 420:
        return float(error.number or _UNSAID_SECONDS)
    return 0.0
