"""The attempts a process knows: each is kept, with its outcome, until the acknowledgement of its command is confirmed."""

import secrets
from dataclasses import dataclass, field
from enum import Enum, auto
from weakref import WeakKeyDictionary

from contracts.channels import Channel
from contracts.commands import SendMessage
from contracts.inbox import Outcome
from contracts.state import LedgerEntry
from contracts.subjects import Queue
from servicekit.bus import Bus
from servicekit.direct import Delivery


class Stage(Enum):
    """Where an attempt is in this process."""

    READY = auto()
    OUT = auto()
    WAITING = auto()
    SETTLING = auto()


@dataclass(eq=False, slots=True)
class Attempt:
    """One attempt of a row: its command, what the ledger holds of it as far as we know, and how it ended."""

    command: SendMessage
    queue: Queue
    delivery: Delivery
    """As it came first."""
    replies: dict[int, bytes]
    """Stream sequence → the subject its latest delivery is acknowledged on."""
    key: str
    tries: int
    stage: Stage = Stage.READY
    touched: float = 0.0
    """Boottime of the last sign of life to the server."""
    revision: int = 0
    """Of the ledger's entry as we last wrote or read it; 0: none known."""
    claimed: bool = False
    doubtful: bool = False
    """An idempotent platform may have it already: it may be sent again, never called cancelled or failed."""
    parts_done: list[str] = field(default_factory=list)
    due: float = 0.0
    """Boottime at which it may leave."""
    counted_day: str | None = None
    """The day in whose cap it is counted."""
    cleared_at: float = -1.0
    """Boottime of the last look into the suppressions that let it pass."""
    forbidden: str = ""
    """Why the suppressions forbid it."""
    end: LedgerEntry | None = None
    event: Outcome | None = None
    written: bool = False
    announced: bool = False
    answers: int = 0
    """How many of the two writes of a `sent` have been answered."""
    buried: bool = False
    """Its dead letter, where one follows, has been written."""


@dataclass(frozen=True)
class Retained:
    """Attempts by ledger key, and the token of this process's claims on the account.

    One token for all of them: a claim that came through although its answer did not is recognised as our own.
    """

    attempts: dict[str, Attempt] = field(default_factory=dict)
    token: str = field(default_factory=lambda: secrets.token_hex(16))


_retained: WeakKeyDictionary[Bus, dict[tuple[Channel, str], Retained]] = WeakKeyDictionary()


def retained(bus: Bus, channel: Channel, account_id: str) -> Retained:
    """Return what this process remembers of an account: a lane that starts again finds what its predecessor knew."""
    return _retained.setdefault(bus, {}).setdefault((channel, account_id), Retained())


def forget(bus: Bus, channel: Channel, account_id: str) -> None:
    """Forget an account that is gone."""
    _retained.get(bus, {}).pop((channel, account_id), None)
