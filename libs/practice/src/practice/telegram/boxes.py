"""One person's messages and the numbered events (pts) from which clients catch up.

Source: https://core.telegram.org/api/updates. A private message lies in two boxes, under a number of its own in each.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any


@dataclass(slots=True, eq=False)
class Letter:
    """One private message, as both sides share it; `random_id` is 0 where no client sent it."""

    sender: int
    receiver: int
    text: str
    date: int
    random_id: int = 0
    entities: list[Any] | None = None
    media: int = 0
    reply_to: "Letter | None" = None
    edited: int = 0
    out_id: int = 0
    in_id: int = 0
    gone: set[int] = field(default_factory=set)

    def id_for(self, owner: int) -> int:
        """Return the number of this message in a side's box."""
        return self.out_id if owner == self.sender else self.in_id

    def peer_of(self, owner: int) -> int:
        """Return the id of the other side."""
        return self.receiver if owner == self.sender else self.sender


@dataclass(frozen=True, slots=True)
class Event:
    """A change with the pts after it; a new message is its letter, all else an update as clients get it."""

    pts: int
    what: Letter | Any


@dataclass(slots=True)
class Chat:
    """The letters with one peer, in the order of their numbers, and how far each side has read."""

    ids: list[int] = field(default_factory=list)
    read_inbox: int = 0
    read_outbox: int = 0


@dataclass(slots=True)
class Box:
    """Letters by number, chats by peer, and events by pts (which begins at 1: zero is no state)."""

    letters: dict[int, Letter] = field(default_factory=dict)
    chats: dict[int, Chat] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    pts: int = 1
    last_id: int = 0

    def add(self, letter: Letter, peer: int) -> int:
        """Take a letter of a chat in; return its number here."""
        self.last_id += 1
        self.letters[self.last_id] = letter
        chat = self.chats.get(peer)
        if chat is None:
            chat = self.chats[peer] = Chat()
        chat.ids.append(self.last_id)
        self.pts += 1
        self.events.append(Event(self.pts, letter))
        return self.last_id

    def note(self, update: Any, count: int = 1) -> Any:
        """Number an update other than a new message, keep it for those who catch up, and return it."""
        self.pts += count
        update.pts, update.pts_count = self.pts, count
        self.events.append(Event(self.pts, update))
        return update

    def since(self, pts: int, limit: int) -> tuple[list[Event], bool]:
        """Return the events after this pts, at most so many, and whether these are all."""
        first = bisect_right(self.events, pts, key=attrgetter("pts"))
        return self.events[first : first + limit], first + limit >= len(self.events)

    def last_incoming(self, owner: int, peer: int, up_to: int) -> Letter | None:
        """Return the newest letter from a peer whose number is not above `up_to` (0: any)."""
        chat = self.chats.get(peer)
        if chat is None:
            return None
        end = bisect_right(chat.ids, up_to) if up_to else len(chat.ids)
        for at in range(end - 1, -1, -1):
            letter = self.letters.get(chat.ids[at])
            if letter is not None and letter.sender != owner:
                return letter
        return None
