"""Deleting an account: confirmed by a person, done by its channel, finished here."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from contracts.state import SessionStatus
from servicekit.clock import utcnow
from servicekit.errors import Conflict, Invalid, NotFound
from servicekit.failpoints import failpoint
from servicekit.logs import get_logger

from accounts import events
from accounts.domain import Account, Tombstone
from accounts.logbook import Logbook
from accounts.ports import AccountStore
from accounts.projection import Projection
from accounts.sessions import Sessions
from accounts.usecases import change
from accounts.waking import repeat

PAGE = 200
_log = get_logger("accounts.deleting")


@dataclass(frozen=True)
class Parts:
    """What finishing a deletion takes; *grace_seconds*: how long a channel may take to begin."""

    store: AccountStore
    projection: Projection
    sessions: Sessions
    logs: Logbook
    forget_imports: Callable[[Account], Awaitable[None]]
    grace_seconds: float


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

    begun = await change(
        store, account_id, None, condemned, lambda a: [events.changed(a), events.deleting(a, a.updated_at)]
    )
    failpoint("delete.after_request")
    return begun


async def _check_heir(store: AccountStore, account: Account, move_to: str | None) -> None:
    if move_to is None:
        return
    heir = await store.get(move_to)
    if heir is None or heir.id == account.id or heir.status == "deleting":
        raise Invalid({"move_to": "must be another account"})
    if heir.channel is not account.channel:
        raise Invalid({"move_to": f"must be an account of {account.channel}, not of {heir.channel}"})


class Deletions:
    """Finishes deletions: each step may be repeated, and a crash anywhere leaves the account *deleting*."""

    def __init__(self, parts: Parts, announce: Callable[[str], Awaitable[None]]) -> None:
        """*announce* tells live pages of an account that is gone."""
        self._parts, self._announce = parts, announce
        self.wake = asyncio.Event()

    async def run(self, every_seconds: float) -> None:
        """Look at accounts being deleted until cancelled."""
        await repeat(self.catch_up, self.wake, every_seconds, "deletions")

    async def catch_up(self) -> None:
        """Finish every deletion that can be finished."""
        for account in await self._parts.store.deleting(PAGE):
            try:
                if await self._is_over(account):
                    await self.finish(account)
            except Conflict as error:
                _log.info("another replica was first", account=account.id, error=str(error))

    async def finish(self, account: Account) -> None:
        """Write the tombstone, then remove key, log lines and document."""
        now = utcnow()
        tombstone = Tombstone(id=account.id, channel=account.channel, name=account.name, deleted_at=now)
        await self._parts.store.bury(tombstone, [events.deleted(account, now)])
        failpoint("delete.after_tombstone")
        await self._parts.projection.remove(account)
        await self._parts.forget_imports(account)
        await self._parts.logs.remove_all(account.id)
        await self._parts.store.remove(account.id)
        await self._parts.projection.remove(account)  # a projection under way may have written it once more
        await self._announce(account.id)

    async def _is_over(self, account: Account) -> bool:
        """Return whether the channel is done with the account, or there is none that ever began with it."""
        if account.projected_version < account.version:
            return False
        if account.session is not None and account.session.status is SessionStatus.DELETED:
            return True
        state = await self._parts.sessions.fetch(account.channel, account.id)
        if state is not None:
            return state.status is SessionStatus.DELETED
        if await self._parts.sessions.lease(account.channel, account.id) is not None:
            return False
        since = account.deleting_since or account.updated_at
        return utcnow() - since >= timedelta(seconds=self._parts.grace_seconds)
