"""What must wait a moment before it is announced: read receipts, and messages of ours that the lane may still recognise."""

from dataclasses import dataclass
from datetime import datetime

from servicekit.clock import boottime

from channel_telegram.model import Message, Person, Position
from channel_telegram.sent import SentIds
from channel_telegram.settings import Settings

_LOOK_SECONDS = 0.5


@dataclass(slots=True)
class _Held:
    message: Message
    person: Person
    until: float
    since: Position
    pushed: bool
    """Seen live: doubtful only while a send waits for its answer."""


@dataclass(slots=True)
class _Seen:
    max_id: int
    at: datetime
    due: float
    since: Position


class Waiting:
    """One account's waiting events. The cursor comes up to where the first of them was read."""

    def __init__(self, settings: Settings, sent: SentIds) -> None:
        self._hold_seconds = settings.own_hold_seconds or 0.0
        self._read_pause = settings.read_pause_seconds
        self._sent = sent
        self._held: list[_Held] = []
        self._reads: dict[int, _Seen] = {}

    @property
    def due(self) -> float | None:
        """Return when to look next (boot time), None where nothing waits."""
        dues = [one.due for one in self._reads.values()]
        if self._held:
            dues += [boottime() + _LOOK_SECONDS, *(one.until for one in self._held)]
        return min(dues, default=None)

    @property
    def since(self) -> Position | None:
        """Return the position after which the first of what waits was read; None where nothing waits."""
        since = [one.since for one in self._held] + [one.since for one in self._reads.values()]
        return min(since, key=lambda at: at.pts, default=None)

    def hold(self, message: Message, person: Person, since: Position, *, pushed: bool) -> None:
        """A message of ours whose send may not have heard its answer: the lane repeats it, and knows its id then."""
        if all(one.message.id != message.id for one in self._held):
            self._held.append(_Held(message, person, boottime() + self._hold_seconds, since, pushed))

    def foreign(self) -> list[tuple[Message, Person]]:
        """Return what the lane has not recognised in time: it was written on another device."""
        now = boottime()
        doubtless = [one for one in self._held if one.until <= now or (one.pushed and not self._sent.busy)]
        return [(one.message, one.person) for one in doubtless if one.message.id not in self._sent]

    def released(self, message: Message) -> None:
        """It is announced."""
        self._held = [one for one in self._held if one.message.id != message.id]

    def settle(self) -> None:
        """Forget what the lane has recognised."""
        self._held = [one for one in self._held if one.message.id not in self._sent]

    def read(self, user_id: int, max_id: int, at: datetime, since: Position) -> None:
        """A chat was read: announced a little later, so that `sent` is heard first and receipts are joined."""
        seen = self._reads.get(user_id)
        if seen is None:
            self._reads[user_id] = _Seen(max_id, at, boottime() + self._read_pause, since)
        elif max_id > seen.max_id:
            seen.max_id, seen.at = max_id, at

    def reads(self) -> dict[int, tuple[int, datetime]]:
        """Return the receipts that are due."""
        now = boottime()
        return {user_id: (seen.max_id, seen.at) for user_id, seen in self._reads.items() if seen.due <= now}

    def announced(self, user_id: int, max_id: int) -> None:
        """A receipt is out."""
        seen = self._reads.get(user_id)
        if seen is not None and seen.max_id <= max_id:
            del self._reads[user_id]
