"""Login states, log lines and domain events: `evt.…`."""

from typing import ClassVar, Literal

from pydantic import Field

from contracts.base import Id, Message, Time
from contracts.channels import Channel
from contracts.state import SessionStatus


class SessionChanged(Message):
    """An account's session entered a state. Never carries a QR text or a code."""

    NAME: ClassVar[str] = "session.changed"
    account_id: Id
    channel: Channel
    status: SessionStatus
    reason: str = ""
    challenge_id: str | None = None
    observed_version: int = 0
    at: Time


class LogLine(Message):
    """A line of the account's Logs tab."""

    NAME: ClassVar[str] = "session.log"
    id: Id
    account_id: Id
    channel: Channel
    type: Literal["info", "warning", "error"]
    text: str = Field(max_length=2000)
    at: Time
    row: str | None = None


class AccountChanged(Message):
    """An account was created or edited; `version` is the desired state's."""

    NAME: ClassVar[str] = "account.changed"
    account_id: Id
    channel: Channel
    version: int
    active: bool
    worker: bool
    name: str
    at: Time


class AccountDeleting(Message):
    """A person confirmed the deletion: pending rows end, or move to another account."""

    NAME: ClassVar[str] = "account.deleting"
    account_id: Id
    channel: Channel
    move_to: Id | None = None
    at: Time


class AccountDeleted(Message):
    """An account, its session and its credentials are gone."""

    NAME: ClassVar[str] = "account.deleted"
    account_id: Id
    channel: Channel
    at: Time


class CampaignFinished(Message):
    """Every row of a campaign has its end."""

    NAME: ClassVar[str] = "campaign.finished"
    campaign_id: Id
    counts: dict[str, int]
    at: Time


class ContactTagged(Message):
    """A contact got a tag."""

    NAME: ClassVar[str] = "contact.tagged"
    contact_id: Id
    tag: str
    at: Time


class ContactUnsubscribed(Message):
    """A contact asked for no more messages on a channel."""

    NAME: ClassVar[str] = "contact.unsubscribed"
    contact_id: Id | None = None
    channel: Channel
    campaign_id: str | None = None
    at: Time


class Changed(Message):
    """A core-NATS hint after a commit: live pages fetch what the ids name. Losing one costs a refresh, nothing else."""

    NAME: ClassVar[str] = "hint.changed"
    service: str
    kind: str
    ids: list[str] = Field(max_length=500)
