"""What the channel knows of Telegram: plain values, free of any library."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

MarkKind = Literal["bold", "italic", "underline", "strike", "spoiler", "code", "pre", "link", "quote"]


@dataclass(frozen=True, slots=True)
class Place:
    """A data centre's number and address."""

    dc: int
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom a request names. The access hash is a secret of this one account."""

    id: int
    access_hash: int = field(repr=False)


@dataclass(frozen=True, slots=True)
class Person:
    """A user as the platform described them."""

    id: int
    access_hash: int | None = field(default=None, repr=False)
    """None where the platform gave only a stub of the person."""
    name: str = ""
    phone: str = ""
    """With its plus; empty where it is not visible."""
    username: str = ""
    is_self: bool = False
    is_bot: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """A formatted stretch of a text; offset and length count UTF-16 units, as Telegram does."""

    kind: MarkKind
    offset: int
    length: int
    value: str = ""
    """A link's address, the language of a block of code."""


@dataclass(frozen=True, slots=True)
class Media:
    """A file of a message; `reference` is what the client needs to fetch it."""

    filename: str
    content_type: str
    size: int
    reference: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a private conversation."""

    id: int
    peer_id: int
    out: bool
    at: datetime
    text: str = ""
    marks: tuple[Mark, ...] = ()
    media: Media | None = None
    note: str = ""
    """What cannot be shown as text or file, in a few words: a place, a contact, a poll."""
    reply_to: int | None = None
    edited_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """One thing that happened, with its place in the account's sequence (none: it has no order)."""

    pts: int | None = None
    pts_count: int = 0

    @property
    def follows(self) -> int:
        """Return the position this update comes after."""
        return (self.pts or 0) - self.pts_count


@dataclass(frozen=True, slots=True)
class NewMessage(Update):
    """A message arrived, or was written from another device."""

    message: Message | None = None
    """None: not a message of a private conversation between people."""


@dataclass(frozen=True, slots=True)
class EditedMessage(NewMessage):
    """A message was changed."""


@dataclass(frozen=True, slots=True)
class DeletedMessages(Update):
    """Messages were removed."""

    ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadUpTo(Update):
    """The other side has read everything up to a message."""

    peer_id: int = 0
    max_id: int = 0


@dataclass(frozen=True, slots=True)
class Unreadable(Update):
    """What this version cannot read; it has its place all the same."""

    kind: str = ""
    message_id: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """What the platform pushed at once."""

    updates: tuple[Update, ...] = ()
    people: tuple[Person, ...] = ()
    date: int = 0
    seq: int = 0
    seq_start: int = 0
    too_long: bool = False
    """The platform says: ask for what was missed."""
    ours: bool = False
    """The answer to a request of this session: its new messages are what we sent."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far the account's sequence was read."""

    pts: int
    qts: int
    date: int
    seq: int


@dataclass(frozen=True, slots=True)
class Difference:
    """What was missed since a position, or its first slice."""

    updates: tuple[Update, ...]
    people: tuple[Person, ...]
    position: Position
    final: bool
    lost: bool = False
    """The platform no longer has it all."""


@dataclass(frozen=True, slots=True)
class CodeSent:
    """Where a login code went."""

    code_hash: str = field(repr=False)
    how: str
    """app, sms, call, flash_call, missed_call, fragment_sms, email, …"""
    length: int = 0
    next_how: str = ""
    resend_after_seconds: int = 0
