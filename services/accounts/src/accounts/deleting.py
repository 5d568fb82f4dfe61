"""Deleting an account: confirmed by a person, done by its channel, finished here."""

from typing import Any

from servicekit.clock import utcnow
from servicekit.errors import Invalid, NotFound

from accounts import events
from accounts.domain import Account
from accounts.ports import AccountStore
from accounts.usecases import change


async def delete(
    store: AccountStore, account_id: str, *, move_to: str | None = None, has_session: bool
) -> Account | None:
    """Begin the deletion and return the account; None where it is deleted already. Repeating it changes nothing.

    An account that never *has_session* has nothing to log out of: its credentials are purged at once. Raises NotFound,
    and Invalid where *move_to* cannot take the pending messages.
    """
    account = await store.get(account_id)
    if account is None:
        if await store.tombstone(account_id):
            return None
        raise NotFound(f"There is no account {account_id}.")
    if account.status == "deleting":
        return account
    await _check_heir(store, account, move_to)

    def condemned(current: Account) -> Account:
        purged: dict[str, Any] = {} if has_session or current.session else {"credentials": None, "credentials_set": []}
        if current.status == "deleting":
            return current
        now = utcnow()
        return current.model_copy(update={"status": "deleting", "deleting_since": now, "move_to": move_to, **purged})

    return await change(
        store, account_id, None, condemned, lambda a: [events.changed(a), events.deleting(a, a.updated_at)]
    )


async def _check_heir(store: AccountStore, account: Account, move_to: str | None) -> None:
    if move_to is None:
        return
    heir = await store.get(move_to)
    if heir is None or heir.id == account.id or heir.status == "deleting":
        raise Invalid({"move_to": "must be another account"})
    if heir.channel is not account.channel:
        raise Invalid({"move_to": f"must be an account of {account.channel}, not of {heir.channel}"})
