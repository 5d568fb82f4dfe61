"""Send commands: `cmd.<channel>.<account_id>.send.{now,bulk}.v1`."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from contracts.base import DottedId, Id, Message, Time, Value

OURS = "campaigns"
"""The source of every command whose row campaigns keeps; anything else is a program outside."""

Kind = Literal["campaign", "automation", "reply", "test"]


class Recipient(Value):
    """Somebody on a platform: an e-mail address, a phone number in E.164, a handle."""

    address: str = Field(min_length=1, max_length=320)
    name: str | None = Field(default=None, max_length=500)


class Attachment(Value):
    """A file in the `media` object store."""

    object: str = Field(description="Key in the media store")
    filename: str = Field(max_length=255)
    content_type: str = "application/octet-stream"
    size: int = Field(ge=0, description="Bytes")


class Content(Value):
    """What a message says, already rendered."""

    subject: str | None = Field(default=None, max_length=2000)
    text: str = ""
    html: str | None = None
    bubbles: list[str] = Field(default_factory=list, description="Chat channels: further messages after text, in order")
    attachments: list[Attachment] = Field(default_factory=list)
    body_object: str | None = Field(
        default=None, description="Media key of a JSON {text, html} where both exceed 256 KB together"
    )


class Thread(Value):
    """The message this one answers, by the platform's ids."""

    in_reply_to: str
    references: list[str] = Field(default_factory=list)


class SendMessage(Message):
    """Send one message from one account: an *attempt* of a row (architecture 3.3).

    A program outside sets `source`, `id` (its own), `not_after`, `to` and `content`, and leaves the rest out.
    """

    NAME: ClassVar[str] = "message.send"

    id: Id
    source: Id
    account_id: Id
    kind: Kind = "campaign"
    campaign_id: str | None = None
    row: DottedId = ""
    batch: DottedId = ""
    k: int = Field(default=1, ge=1, description="The batch's number; row and k name exactly one attempt")
    number: int = Field(default=0, ge=0, description="The row's number within campaign and account")
    wanted: int = Field(default=0, ge=0, description="Rises when a person asks for the message again")
    tries: int = Field(default=0, ge=0, description="Tries of earlier attempts")
    not_after: Time
    to: Recipient
    content: Content
    thread: Thread | None = None
    unsubscribe_url: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _outside(cls, data: object) -> object:
        if isinstance(data, dict) and data.get("source") != OURS and "id" in data and "source" in data:
            row = f"{data['source']}.{data['id']}"
            return {**data, "row": row, "batch": f"{row}.1", "k": 1, "number": 0, "campaign_id": None}
        return data

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.row or not self.batch:
            raise ValueError("row and batch are required from campaigns")
        return self

    @property
    def attempt(self) -> str:
        """Return `<row>.<k>`."""
        return f"{self.row}.{self.k}"

    @property
    def is_outside(self) -> bool:
        """Return whether a program other than campaigns sent this."""
        return self.source != OURS

    @property
    def ledger_key(self) -> str:
        """Return `<account>.<batch>.<row>`."""
        return f"{self.account_id}.{self.batch}.{self.row}"
