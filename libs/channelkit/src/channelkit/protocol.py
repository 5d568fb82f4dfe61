"""What a channel gives and what it gets: the whole contract between channelkit and a channel service.

A channel implements `ChannelDriver`, `Session` and `Sender`; channelkit implements `Host` and `Outgoing`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from contracts.channels import Channel
from contracts.commands import Attachment, Content, SendMessage
from contracts.inbox import Bounced, Deleted, Delivered, Edited, Read, Received
from contracts.requests import TestStep
from contracts.state import Challenge, DesiredAccount, SessionStatus

Inbound = Received | Edited | Deleted | Delivered | Read | Bounced


class NeedsLogin(Exception):  # noqa: N818  # an instruction, like Retry and Permanent
    """The session is no longer logged in: the lane stops until a person logs in again."""


class Restricted(Exception):  # noqa: N818
    """The platform restricted the account until a moment: the lane stops, the command stays pending."""

    def __init__(self, until: datetime, reason: str) -> None:
        super().__init__(reason)
        self.until, self.reason = until, reason


class OutcomeUnknown(Exception):  # noqa: N818
    """The message may or may not have gone out (a connection lost between content and answer)."""


class NotClaimed(Exception):  # noqa: N818
    """`Outgoing.claim` said no: nothing was sent, and the lane knows why."""


@dataclass(frozen=True)
class Capabilities:
    """What a channel can do; the kit decides by these, never by a channel's name."""

    idempotent_send: bool = False
    """The platform recognises a repeated platform key, so a claimed attempt of a dead holder may be sent again."""
    can_ask: bool = False
    """`Session.was_sent` can tell whether a message with that platform key went out."""
    exclusive_session: bool = False
    """Two sessions at once harm the account: the heir of a dead replica waits one send timeout before it opens."""
    bubbles: bool = True
    at_once: int = 1
    """With `bubbles`: so many messages of an account may be on their way at once, where its pace has no pause; never two
    to one recipient, so that a conversation keeps its order."""
    parts: Callable[[Content], int] = lambda content: 1 + len(content.bubbles)
    """How many messages of the platform a content becomes (`can_ask`: each is asked about)."""
    send_timeout_seconds: float = 60.0
    """The longest a send may take; an heir of a lease begins sending this much later."""
    close_seconds: float = 10.0
    """The longest closing may take: a browser puts its profile into the vault before it lets go."""


@dataclass(frozen=True)
class Credentials:
    """A session's secrets in the clear, in memory only; `repr` shows nothing."""

    values: dict[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Shown:
    """What a person has to see to go on: a QR code's text, a code to type into the phone, or a screenshot (PNG).

    At most 640 KB. Sealed at rest, gone when its challenge expires (after 10 minutes at most); `repr` shows nothing.
    """

    kind: Literal["qr", "code_to_enter", "image/png"]
    data: bytes = field(repr=False)


class Outgoing(Protocol):
    """One attempt on its way out. The sender claims it right before the platform could first see its content."""

    command: SendMessage
    parts_done: list[str]
    """Platform ids of bubbles sent by an earlier try (idempotent channels): begin after them."""

    async def claim(self) -> None:
        """Claim the attempt, or raise NotClaimed (worker off, lease gone, expired, suppressed, cancelled, lost)."""

    async def part_sent(self, platform_id: str) -> None:
        """Write down that one more bubble went out."""

    def platform_key(self, part: int = 0) -> str:
        """Return the idempotency key of a bubble."""


class Sender(Protocol):
    """One connection of a session: sends one message after another."""

    async def send(self, out: Outgoing, following: Callable[[], Outgoing | None]) -> Sequence[str]:
        """Send and return the platform ids, one per bubble.

        `following()` reserves the next message due within a second for this same sender, so that its envelope can ride
        along; the kit then either passes it to the next `send`, or calls `abandon`. Raises servicekit's Permanent and
        Retry, or NeedsLogin, Restricted, OutcomeUnknown, NotClaimed. Raised before the claim, nothing was sent.
        """

    async def abandon(self) -> None:
        """Give up whatever rode along unsent (drop the connection if an envelope is open)."""

    async def close(self) -> None:
        """Close the connection."""


class Session(Protocol):
    """An account's live connection to its platform, opened by `ChannelDriver.open`."""

    def sender(self) -> Sender:
        """Return a new sender; the kit asks for as many as the pace's `connections` (chat channels: one)."""

    async def answer(self, challenge_id: str, answer: str, *, resend: bool) -> None:
        """Take a login answer; raises servicekit's Permanent(reason) such as `wrong_code`, `expired_code`."""

    async def check(self, address: str) -> bool | None:
        """Return whether the address exists on the platform; None where it cannot be asked."""

    async def was_sent(self, key: str, command: SendMessage) -> bool | str | None:
        """Return whether the platform has the message of this key (capability `can_ask`): its id, or True; None in doubt."""

    async def probe(self) -> None:
        """Truly ask the platform for a sign of life; raises NeedsLogin or Retry."""

    async def log_out(self) -> None:
        """Log out on the platform, where it can be done."""

    async def close(self) -> None:
        """Give everything back: connections, threads, memory."""


class Host(Protocol):
    """What channelkit does for one session."""

    account: DesiredAccount
    credentials: Credentials

    async def report(
        self,
        status: SessionStatus,
        reason: str = "",
        *,
        challenge: Challenge | None = None,
        identity: str = "",
        shown: Shown | None = None,
    ) -> None:
        """Report the session's state; entering `ready` counts as a proof of life and lets the lane begin.

        *shown* stays visible as long as the same challenge is reported without it, at most until the challenge expires.
        """

    def alive(self) -> None:
        """The platform has just truly answered."""

    async def log(self, kind: Literal["info", "warning", "error"], text: str, row: str | None = None) -> None:
        """Add a line to the account's Logs tab; never a secret."""

    async def publish(self, event: Inbound, event_id: str) -> None:
        """Publish an inbound event; returns once the stream has acknowledged it."""

    async def dead_letter(self, raw: bytes, error: str, event_id: str) -> None:
        """Keep what could not be read (its head, where it is too large)."""

    async def cursor(self) -> dict[str, str]:
        """Return the inbound positions."""

    async def save_cursor(self, positions: dict[str, str]) -> None:
        """Write the inbound positions with the lease's epoch; raises Conflict when the lease has moved on."""

    async def remember(self, key: str, value: bytes) -> None:
        """Keep a small lasting fact of the account, sealed; the last write wins. Raises Unavailable.

        *key*: 1 to 120 of `A-Za-z0-9_=-`. It goes when the account is deleted.
        """

    async def recall(self, key: str) -> bytes | None:
        """Return what was last remembered under *key*, None where nothing was. Raises SealError, Unavailable."""

    async def put_media(self, data: bytes, filename: str, content_type: str) -> Attachment:
        """Keep an attachment in the media store."""

    async def get_media(self, key: str) -> bytes:
        """Fetch an attachment; raises Permanent("attachment_missing")."""

    async def load_session(self) -> bytes | None:
        """Return the session kept in the vault, opened, or None."""

    async def save_session(self, data: bytes) -> None:
        """Seal a session into the vault and move the pointer to it; an imported session is then consumed."""

    async def imported_session(self) -> bytes | None:
        """Return the session a person uploaded, opened, unless the vault has a later one: ask before `load_session`.

        It is offered again at each opening until `save_session` has written the session that came of it, or until it is
        refused.
        """

    async def refuse_import(self, why: str) -> None:
        """Say that what was uploaded is no session of this channel, and have it offered no more. Raises Unavailable."""


class ChannelDriver(Protocol):
    """A channel: opens sessions and tests settings. One object per process."""

    channels: Sequence[Channel]
    capabilities: Capabilities

    async def open(self, host: Host) -> Session:
        """Begin the login of `host.account` and return at once; progress goes to `host.report`."""

    async def test(self, channel: Channel, settings: dict[str, Any], credentials: Credentials) -> list[TestStep]:
        """Try settings that are not saved, step by step, with the server's own words."""
