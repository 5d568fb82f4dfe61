"""Refused passwords: tried again ever more rarely, since many servers lock out whoever knocks too often."""

from dataclasses import dataclass

from servicekit.clock import boottime

_FIRST_SECONDS = 60.0
_LONGEST_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class _Refusal:
    login_version: int
    words: str
    times: int
    until: float


class Refusals:
    """What servers said to the credentials of accounts, until those change. One per process."""

    def __init__(self) -> None:
        self._known: dict[str, _Refusal] = {}

    def still(self, account_id: str, login_version: int) -> str:
        """Return the server's words where it is too early to try the same credentials again; else nothing."""
        known = self._known.get(account_id)
        early = known is not None and known.login_version == login_version and boottime() < known.until
        return known.words if known and early else ""

    def add(self, account_id: str, login_version: int, words: str) -> None:
        """Remember a refusal; the pause doubles from a minute to an hour."""
        known = self._known.get(account_id)
        times = known.times + 1 if known and known.login_version == login_version else 0
        pause = min(_FIRST_SECONDS * 2 ** min(times, 10), _LONGEST_SECONDS)
        self._known[account_id] = _Refusal(login_version, words, times, boottime() + pause)

    def forget(self, account_id: str) -> None:
        """The account has signed in."""
        self._known.pop(account_id, None)
