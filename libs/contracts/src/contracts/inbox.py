"""What became of a message, and what came in: `inbox.<channel>.<account_id>.<what>.v1`."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from contracts.base import DottedId, Id, Message, Time, Value
from contracts.channels import Channel
from contracts.commands import Attachment, Kind, Recipient

LONGEST_NUMBER = 30
"""Digits of a platform id that is compared as a number."""


class Origin(Value):
    """Where an outside program's message came from: campaigns makes its row from it."""

    source: str
    id: str
    to: Recipient
    subject: str | None = None
    preview: str = Field(default="", description="First line of the text, at most 200 characters")
    kind: Kind = "campaign"


class Outcome(Message):
    """The end of one attempt. Safe to hear twice and in any order."""

    account_id: Id
    channel: Channel
    campaign_id: str | None = None
    row: DottedId
    batch: DottedId
    k: int
    number: int = 0
    wanted: int = 0
    tries: int = Field(default=0, description="Tries so far, this attempt's included")
    at: Time
    outside: Origin | None = None


class Sent(Outcome):
    """The platform accepted the message."""

    NAME: ClassVar[str] = "message.sent"
    platform_ids: list[str] = Field(default_factory=list, description="One per bubble")


class Failed(Outcome):
    """The message was refused for good; `detail` holds the server's words."""

    NAME: ClassVar[str] = "message.failed"
    reason: str
    detail: str = ""


class Unknown(Outcome):
    """Nobody can tell whether the message went out: a person decides."""

    NAME: ClassVar[str] = "message.unknown"
    reason: str
    detail: str = ""


class Cancelled(Outcome):
    """The attempt ended without sending; with `expired` or `retry` the row is pending again."""

    NAME: ClassVar[str] = "message.cancelled"
    reason: Literal["expired", "suppressed", "retry", "paused", "cancelled", "replied", "account_deleted"]
    detail: str = ""
    not_before: Time | None = Field(default=None, description="With `retry`: when the next attempt may be made")


class Delivered(Message):
    """The message reached the recipient's device.

    It names our row, or, where the platform names only its own ids, the conversation and the platform's id.
    """

    NAME: ClassVar[str] = "message.delivered"
    account_id: Id
    channel: Channel
    row: DottedId | None = None
    wanted: int = 0
    at: Time
    platform_id: str | None = None
    conversation: str | None = Field(default=None, description="The peer's address in normal form")
    up_to: bool = Field(
        default=False,
        description="Every message to that conversation up to and including `platform_id`, ids compared as integers",
    )

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.row is None and not (self.conversation and self.platform_id):
            raise ValueError("names neither a row nor a conversation with a platform id")
        number = self.platform_id or ""
        if self.up_to and not (
            self.conversation and number.isascii() and number.isdigit() and len(number) <= LONGEST_NUMBER
        ):
            raise ValueError("up_to needs a conversation and a platform id of digits")
        return self


class Read(Delivered):
    """The recipient opened the message."""

    NAME: ClassVar[str] = "message.read"


class Bounced(Message):
    """A sent message came back (RFC 3464), or its recipient complained (RFC 5965): a fact on a sent row, not a state."""

    NAME: ClassVar[str] = "message.bounced"
    account_id: Id
    channel: Channel
    row: DottedId | None = Field(default=None, description="None where the report does not lead back to a row")
    wanted: int = 0
    address: str
    kind: Literal["bounce", "complaint"] = "bounce"
    hard: bool = Field(description="Permanent: the address goes to the suppression list")
    status: str = Field(default="", description="Enhanced status code, such as 5.1.1")
    diagnostic: str = ""
    at: Time


class Received(Message):
    """A message came in (or was sent by the owner from another device)."""

    NAME: ClassVar[str] = "message.received"
    id: Id
    account_id: Id
    channel: Channel
    platform_id: str
    sender: Recipient
    conversation: str = Field(description="The peer's address in normal form: one conversation per account and peer")
    to: list[Recipient] = Field(default_factory=list)
    at: Time
    subject: str | None = None
    text: str = ""
    html: str | None = None
    attachments: list[Attachment] = Field(default_factory=list)
    references: list[str] = Field(default_factory=list, description="Platform ids this message answers, oldest first")
    answers_row: DottedId | None = Field(default=None, description="The row it answers, where the ids name one")
    auto_reply: bool = False
    own: bool = Field(default=False, description="Sent by the account's owner from another device")
    stub: str | None = Field(default=None, description="Why the content is missing: too_large or unreadable")


class Edited(Message):
    """A message that came in (or that the owner sent from another device) was changed: this is its whole new text."""

    NAME: ClassVar[str] = "message.edited"
    id: Id = Field(description="The `id` the message was received with")
    account_id: Id
    channel: Channel
    platform_id: str
    conversation: str = Field(description="The peer's address, as in the message that was edited")
    text: str = ""
    html: str | None = None
    at: Time


class Deleted(Message):
    """Messages were taken back on the platform. The inbox keeps them and says so."""

    NAME: ClassVar[str] = "message.deleted"
    ids: list[Id] = Field(min_length=1, description="The `id`s the messages were received with")
    account_id: Id
    channel: Channel
    platform_ids: list[str] = Field(min_length=1)
    conversation: str | None = Field(
        default=None, description="None where the platform does not say whose (Telegram's private chats)"
    )
    at: Time
