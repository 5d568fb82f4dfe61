"""Who there is: people, the keys they are signed in with, and their numbers."""

from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from practice.telegram.boxes import Box

if TYPE_CHECKING:
    from practice.telegram.connection import Connection

MAIN_DC, OTHER_DC = 2, 4


class Behaviour(str, Enum):
    """What a person does by itself when a client writes to it, or what a client hears of it."""

    READ = "read"
    REPLY = "reply"
    STOP = "stop"
    BLOCK = "block"
    ABSENT = "absent"
    RETRY = "retry"
    PRIVACY = "privacy"
    DEACTIVATED = "deactivated"


@dataclass(slots=True, eq=False)
class Person:
    """Somebody with a Telegram account; `phone` is digits alone, without the plus."""

    id: int
    phone: str
    name: str = ""
    username: str = ""
    home_dc: int = MAIN_DC
    password: str = ""
    hint: str = ""
    banned: bool = False
    acts: Behaviour | None = None
    reply_text: str = "Yes, please."
    #: Whom this person has as a contact, and the name it gave to each.
    contacts: dict[int, str] = field(default_factory=dict)
    blocked: set[int] = field(default_factory=set)
    box: Box = field(default_factory=Box)
    random_ids: set[int] = field(default_factory=set)
    #: The keys this person is signed in with, oldest first.
    logins: dict[int, "AuthKey"] = field(default_factory=dict)
    listeners: "set[Connection]" = field(default_factory=set)


@dataclass(slots=True, eq=False)
class AuthKey:
    """An auth key of a client; `ended` is the error that every call of an ended login answers."""

    id: int
    key: bytes
    dc: int
    person: Person | None = None
    imported: bool = False
    ended: str = ""
    connections: "set[Connection]" = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class NumberRule:
    """Numbers of a pattern (`+62811*`) exist without being created, and act like this."""

    pattern: str
    acts: Behaviour | None = None
    exists: bool = True
    reply_text: str = ""

    def covers(self, phone: str) -> bool:
        """Whether the digits of a number match."""
        return fnmatchcase(phone, self.pattern.removeprefix("+"))


def digits(phone: str) -> str:
    """Return a number as Telegram writes it: digits alone."""
    return "".join(one for one in phone if one.isdigit())
