"""What a server's answer means, and for whom: the recipient's trouble, the account's, or nobody's."""

import re
from collections import OrderedDict
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from channelkit.protocol import NeedsLogin, Restricted
from servicekit.clock import Clock, SystemClock
from servicekit.errors import Permanent, Retry

from channel_email.client import ConnectError
from channel_email.settings import Settings

_STATUS = re.compile(r"^([245]\.\d{1,3}\.\d{1,3})\b")
_LOGIN_CODES = {530, 534, 535, 538}
# The sender's own trouble wherever it is said. 5.1.8: bad outbound sender; 5.2.252 and 5.7.60: may not send as this
# address; 5.7.57: not signed in (all Microsoft 365).
_SENDER_STATUSES = {"5.1.7", "5.1.8", "5.2.252", "5.7.57", "5.7.60"}
# The account is over its limit. 5.4.5: Gmail's daily quota; 4.3.2: Microsoft's concurrent connections; 4.7.28: rate.
_LIMIT_STATUSES = {"5.4.5", "4.3.2", "4.7.28"}
_TRIES_KEPT = 10_000


class Reply(NamedTuple):
    """One answer of the server; the lines of a longer one are joined by spaces."""

    code: int
    text: str

    @property
    def ok(self) -> bool:
        """Return whether the command was accepted."""
        return 200 <= self.code < 300

    @property
    def permanent(self) -> bool:
        """Return whether trying again cannot help."""
        return self.code >= 500

    @property
    def status(self) -> str:
        """Return the enhanced status code (RFC 3463), or nothing."""
        found = _STATUS.match(self.text)
        return found[1] if found else ""

    @property
    def words(self) -> str:
        """Return the answer as the server gave it, at most 500 characters."""
        return f"{self.code} {self.text}"[:500]


class Trouble:
    """How long one account waits: growing while it goes on, forgotten with the next success."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self._settings, self._clock = settings, clock or SystemClock()
        self._times = 0
        self._until = self._clock.utcnow()
        self._tries: OrderedDict[str, int] = OrderedDict()

    def over(self) -> None:
        """The server has just taken a message."""
        self._times = 0

    def restricted(self, words: str, first_seconds: float) -> Restricted:
        """Return the error that stops the account; connections that fail together count once."""
        now = self._clock.utcnow()
        if self._until <= now:
            seconds = min(first_seconds * 2 ** min(self._times, 20), self._settings.longest_wait_seconds)
            self._until, self._times = now + timedelta(seconds=seconds), self._times + 1
        return Restricted(self._until, words)

    def throttled(self, words: str) -> Restricted:
        """Return the error for an account that the server slows down."""
        return self.restricted(words, self._settings.throttle_wait_seconds)

    def connecting(self, error: ConnectError) -> Exception:
        """Return what a connection that could not be opened means for its account."""
        if error.kind == "login":
            return NeedsLogin(error.words)
        first = self._settings.throttle_wait_seconds if error.kind == "refused" else self._settings.offline_wait_seconds
        return self.restricted(error.words, first)

    def sender(self, reply: Reply) -> Exception:
        """Return what a refused MAIL means: never the recipient's trouble."""
        if reply.status == "5.3.4" or reply.code == 552:
            return Permanent("too_large", reply.words)
        if reply.code in _LOGIN_CODES or reply.status in _SENDER_STATUSES:
            return NeedsLogin(reply.words)
        return self.throttled(reply.words)

    def recipient(self, reply: Reply, row: str, tries: int) -> Exception:
        """Return what a refused RCPT, DATA or content means."""
        if reply.code in _LOGIN_CODES or reply.status in _SENDER_STATUSES:
            return NeedsLogin(reply.words)
        if reply.code == 421 or reply.status in _LIMIT_STATUSES:
            return self.throttled(reply.words)
        if reply.permanent:
            return Permanent(_reason(reply), reply.words)
        return Retry(self._wait(row, tries), reply.words)

    def _wait(self, row: str, tries: int) -> float:
        """Greylisting wants longer waits each time; the tries of this attempt are known only here."""
        waits: Sequence[float] = self._settings.retry_waits_seconds
        done = max(self._tries.pop(row, 0), tries)
        self._tries[row] = done + 1
        if len(self._tries) > _TRIES_KEPT:
            self._tries.popitem(last=False)
        return waits[min(done, len(waits) - 1)]


_REASONS = {
    "5.1.1": "no_such_recipient",
    "5.1.2": "no_such_domain",
    "5.1.3": "invalid_address",
    "5.1.6": "recipient_moved",
    "5.1.10": "no_such_recipient",
    "5.2.1": "mailbox_disabled",
    "5.2.2": "mailbox_full",
    "5.2.3": "too_large",
    "5.3.4": "too_large",
    "5.4.4": "no_such_domain",
    "5.6.7": "address_needs_smtputf8",
}


def _reason(reply: Reply) -> str:
    """Return the reason in snake_case from the enhanced status, or from the plain code where there is none."""
    if reply.status in _REASONS:
        return _REASONS[reply.status]
    if reply.status.startswith("5.7."):
        return "refused_by_policy"
    return "too_large" if reply.code == 552 else "refused"
