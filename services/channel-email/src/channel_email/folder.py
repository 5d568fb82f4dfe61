"""How far a folder was read: `UIDVALIDITY:last UID:when`, moved only after what it passes was published."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from servicekit.failpoints import failpoint

from channel_email.headlines import Headline
from channel_email.imap import Mailbox
from channel_email.settings import Settings

_CHUNK = 50
_CHUNK_BYTES = 1_000_000
_DAY = timedelta(days=1)
_GONE_AFTER_SECONDS = 60.0
"""How long a UID that was given away and is not there may still appear: UIDNEXT rises before every session sees it."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as it lies in a folder; `raw` is only its head where it is too large."""

    raw: bytes
    size: int
    at: datetime

    @property
    def too_large(self) -> bool:
        """Return whether only the head was fetched."""
        return len(self.raw) < self.size and self.size > 0


@dataclass(frozen=True, slots=True)
class Position:
    """The last UID read, under which numbering, and when."""

    validity: int
    uid: int
    at: int

    @classmethod
    def parse(cls, text: str | None) -> "Position | None":
        """Return a stored position, or None where there is none that can be read."""
        parts = (text or "").split(":")
        if len(parts) < 2 or not all(part.isdigit() for part in parts):
            return None
        return cls(int(parts[0]), int(parts[1]), int(parts[2]) if len(parts) > 2 else int(time.time()))

    def __str__(self) -> str:
        return f"{self.validity}:{self.uid}:{self.at}"


class FolderReader:
    """Fetches what is new in a mailbox's folders, until there is nothing more."""

    def __init__(
        self,
        box: Mailbox,
        positions: dict[str, str],
        deliver: Callable[[Delivery], None],
        save: Callable[[dict[str, str]], None],
        *,
        settings: Settings,
        import_days: int = 0,
    ) -> None:
        self._box, self._positions, self._deliver, self._save = box, dict(positions), deliver, save
        self._limit, self._import_days = settings.inbound_limit_bytes, import_days
        self._missing: dict[str, tuple[int, float]] = {}
        """Folder → the UIDNEXT below which something is not there, and since when (monotonic)."""

    def catch_up(self, folder: str, stopped: threading.Event) -> None:
        """Deliver everything new. Raises ImapError, and what delivering and saving raise."""
        validity, upcoming = self._box.status(folder)
        position = self._position(folder, validity, upcoming)
        while position.uid + 1 < upcoming and not stopped.is_set():
            if self._box.selected != folder:
                self._box.select(folder)
            uids = self._box.uids_after(position.uid) or self._seen_anew(folder, position.uid)
            for chunk in self._chunks(uids):
                if stopped.is_set():
                    return
                self._take(chunk)
                failpoint("inbound.before_cursor")
                position = self._move(folder, Position(validity, chunk[-1].uid, int(time.time())))
            reached = uids[-1] if uids else self._given_up(folder, upcoming)
            if position.uid < reached:  # the rest was deleted before we saw it
                position = self._move(folder, Position(validity, reached, int(time.time())))
            elif not uids:
                return  # the next look, or the server's word, comes soon enough
            validity, upcoming = self._box.status(folder)

    def _seen_anew(self, folder: str, uid: int) -> list[int]:
        """Look again with fresh eyes: a session may see an older state of its folder than the server has counted."""
        self._box.select(folder)
        return self._box.uids_after(uid)

    def _given_up(self, folder: str, upcoming: int) -> int:
        """Return the last UID that has been missing for so long that it was deleted; 0: none yet."""
        missing, since = self._missing.setdefault(folder, (upcoming, time.monotonic()))
        if time.monotonic() - since < _GONE_AFTER_SECONDS:
            return 0
        del self._missing[folder]
        return missing - 1

    def _position(self, folder: str, validity: int, upcoming: int) -> Position:
        """Return where to go on; a folder new to us begins at its end, unless older mail was asked for.

        A new UIDVALIDITY makes all UIDs meaningless: then what arrived since the day before we last looked is read
        again, and the ids of messages tell what is known already.
        """
        now = int(time.time())
        stored = Position.parse(self._positions.get(folder))
        if stored and stored.validity == validity:
            return stored
        since = None
        if stored:
            since = datetime.fromtimestamp(stored.at, UTC) - _DAY
        elif self._import_days:
            since = datetime.now(UTC) - self._import_days * _DAY
        last = upcoming - 1
        if since is not None:
            self._box.select(folder)
            last = min(self._box.uids_since(since.date()), default=upcoming) - 1
        return self._move(folder, Position(validity, last, now))

    def _move(self, folder: str, position: Position) -> Position:
        self._missing.pop(folder, None)
        positions = {**self._positions, folder: str(position)}
        self._save(positions)
        self._positions = positions
        return position

    def _chunks(self, uids: Sequence[int]) -> Iterator[list[Headline]]:
        """Group what is fetched in one go, by number and size."""
        for start in range(0, len(uids), _CHUNK):
            known = {one.uid: one for one in self._box.headlines(uids[start : start + _CHUNK])}
            chunk: list[Headline] = []
            for one in known.values():
                if chunk and sum(other.size for other in chunk) + one.size > _CHUNK_BYTES:
                    yield chunk
                    chunk = []
                chunk.append(one)
            if chunk:
                yield chunk

    def _take(self, chunk: Sequence[Headline]) -> None:
        whole = [one.uid for one in chunk if one.size <= self._limit]
        heads = [one.uid for one in chunk if one.size > self._limit]
        raws = self._box.contents(whole) if whole else {}
        raws |= self._box.contents(heads, "HEADER") if heads else {}
        for one in chunk:
            if one.uid in raws:
                size = one.size if one.uid in heads else len(raws[one.uid])
                self._deliver(Delivery(raws[one.uid], size, one.at))
