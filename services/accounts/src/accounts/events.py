"""Domain events of an account: made with the change, stored in its document, published by the relay."""

from datetime import datetime

from contracts import subjects
from contracts.base import Message
from contracts.events import AccountChanged, AccountDeleted, AccountDeleting
from contracts.ids import digest

from accounts.domain import Account, PendingEvent

MODELS: dict[str, type[Message]] = {m.ce_type(): m for m in (AccountChanged, AccountDeleting, AccountDeleted)}


def changed(account: Account) -> PendingEvent:
    """Return the event of a creation or an edit; *account* as it is after it."""
    event = AccountChanged(
        account_id=account.id,
        channel=account.channel,
        version=account.version,
        active=account.status == "active",
        worker=account.worker,
        name=account.name,
        at=account.updated_at,
    )
    return _pending("changed", event, account.id, account.version)


def deleting(account: Account, at: datetime) -> PendingEvent:
    """Return the event of a confirmed deletion."""
    event = AccountDeleting(account_id=account.id, channel=account.channel, move_to=account.move_to, at=at)
    return _pending("deleting", event, account.id)


def deleted(account: Account, at: datetime) -> PendingEvent:
    """Return the event of a finished deletion."""
    return _pending("deleted", AccountDeleted(account_id=account.id, channel=account.channel, at=at), account.id)


def message(event: PendingEvent) -> Message:
    """Return the message to publish."""
    return MODELS[event.name].model_validate(event.data)


def _pending(past_tense: str, event: Message, *identity: object) -> PendingEvent:
    return PendingEvent(
        id=digest(past_tense, *identity),
        subject=subjects.domain("accounts", "account", past_tense),
        name=event.ce_type(),
        data=event.model_dump(mode="json"),
    )
