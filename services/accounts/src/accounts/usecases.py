"""What people do with accounts: create, edit, switch on and off."""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from contracts.channels import Channel
from contracts.ids import digest
from contracts.state import Pace
from servicekit.clock import utcnow
from servicekit.errors import Conflict, Invalid, NotFound, StaleVersion

from accounts import events
from accounts.catalog import TITLES
from accounts.domain import Account, PendingEvent
from accounts.fields import check_credentials, check_settings
from accounts.ports import AccountStore
from accounts.vault import CredentialSealer

ATTEMPTS = 20
"""How often an edit that names no version is tried again when another one comes first."""


@dataclass(frozen=True)
class Rules:
    """What the deployment allows."""

    enabled: Sequence[Channel]
    practice: bool = False

    def require_enabled(self, channel: Channel) -> None:
        """Raise Invalid where the deployment is not subscribed to the channel."""
        if channel not in self.enabled:
            title = f"{TITLES[channel]} {channel.category.title()}"
            raise Invalid({"channel": f"make sure you are subscribed to {title}: it is not among KURIR_CHANNELS"})


@dataclass(frozen=True)
class Draft:
    """A new account, as a person filled it in."""

    name: str
    channel: Channel
    notes: str
    active: bool
    worker: bool
    pace: Pace
    settings: Mapping[str, Any]
    credentials: Mapping[str, str]


@dataclass(frozen=True)
class Changes:
    """An edit; None leaves a field as it is. In `credentials`, None removes one, and what is not named is kept."""

    name: str | None = None
    notes: str | None = None
    active: bool | None = None
    worker: bool | None = None
    pace: Pace | None = None
    settings: Mapping[str, Any] | None = None
    credentials: Mapping[str, str | None] | None = None


class Editing(NamedTuple):
    """What editing takes besides the edit itself."""

    store: AccountStore
    vault: CredentialSealer
    rules: Rules


async def create(to: Editing, draft: Draft, *, by: str, key: str | None = None) -> tuple[Account, bool]:
    """Store a new account; return it and whether it is new (the same *key* again gives the same account).

    Raises Invalid field by field, Conflict where the key was used for something else or its account is deleted.
    """
    to.rules.require_enabled(draft.channel)
    settings = check_settings(draft.channel, draft.settings, practice=to.rules.practice)
    credentials = check_credentials(draft.channel, draft.credentials, settings)
    account = _new(to.vault, draft, settings, credentials, by=by, key=key)
    if key is not None and await to.store.tombstone(account.id):
        raise Conflict("The account that this key created has been deleted.", reason="idempotency_key_reused")
    if await to.store.insert(account, [events.changed(account)]):
        return account, True
    return await _earlier(to.store, account), False


def _new(
    vault: CredentialSealer,
    draft: Draft,
    settings: dict[str, Any],
    credentials: dict[str, str],
    *,
    by: str,
    key: str | None,
) -> Account:
    now = utcnow()
    account_id = f"acc_{digest('account', by, key)[:24] if key is not None else secrets.token_hex(12)}"
    return Account(
        id=account_id,
        order=f"{time.time_ns() // 1_000_000:013d}-{account_id}",
        name=draft.name,
        channel=draft.channel,
        notes=draft.notes,
        status="active" if draft.active else "inactive",
        worker=draft.worker,
        pace=draft.pace,
        settings=settings,
        credentials=vault.seal(draft.channel, account_id, credentials),
        credentials_set=sorted(credentials),
        request_digest=_digest(draft, settings, credentials) if key is not None else None,
        created_at=now,
        updated_at=now,
        created_by=by,
    )


def _digest(draft: Draft, settings: dict[str, Any], credentials: Mapping[str, str]) -> str:
    """Tell two requests apart without keeping anything that a password could be guessed from."""
    pace = draft.pace.model_dump_json()
    return digest(
        draft.name, draft.channel, draft.notes, draft.active, draft.worker, pace, settings, sorted(credentials)
    )


async def _earlier(store: AccountStore, account: Account) -> Account:
    earlier = await get(store, account.id)
    if earlier.request_digest != account.request_digest:
        raise Conflict("The Idempotency-Key was used for another request.", reason="idempotency_key_reused")
    return earlier


async def get(store: AccountStore, account_id: str) -> Account:
    """Return an account. Raises NotFound."""
    account = await store.get(account_id)
    if account is None:
        raise NotFound(f"There is no account {account_id}.")
    return account


async def edit(to: Editing, account_id: str, changes: Changes, version: int | None) -> Account:
    """Apply an edit to the account at *version* (None: whichever it has) and return it.

    Raises NotFound, StaleVersion, Invalid, Conflict where the account is being deleted.
    """

    def changed(account: Account) -> Account:
        account.require_editable()
        if changes.active and account.status != "active":
            to.rules.require_enabled(account.channel)
        return _edited(to, account, changes)

    return await change(to.store, account_id, version, changed, lambda account: [events.changed(account)])


def _edited(to: Editing, account: Account, changes: Changes) -> Account:
    update: dict[str, Any] = {
        name: value for name in ("name", "notes", "worker", "pace") if (value := getattr(changes, name)) is not None
    }
    if changes.active is not None:
        update["status"] = "active" if changes.active else "inactive"
    if changes.settings is not None or changes.credentials is not None:
        update |= _login(to, account, changes)
    return account.model_copy(update=update)


def _login(to: Editing, account: Account, changes: Changes) -> dict[str, Any]:
    """Return what changes how the account logs in; `login_version` rises where it does."""
    settings = account.settings
    if changes.settings is not None:
        settings = check_settings(account.channel, changes.settings, practice=to.rules.practice)
    wanted = merged(to.vault, account, changes.credentials)
    credentials = check_credentials(account.channel, wanted, settings)
    if changes.credentials is None and settings == account.settings:
        return {}
    update = {"settings": settings, "login_version": account.version + 1}
    if changes.credentials is not None:
        update["credentials"] = to.vault.seal(account.channel, account.id, credentials)
        update["credentials_set"] = sorted(credentials)
    return update


def merged(vault: CredentialSealer, account: Account, given: Mapping[str, str | None] | None) -> dict[str, str]:
    """Return an account's credentials with an edit over them: what is not named is kept, None removes one."""
    kept = vault.open(account.channel, account.id, account.credentials)
    return {name: value for name, value in {**kept, **(given or {})}.items() if value is not None}


async def change(
    store: AccountStore,
    account_id: str,
    version: int | None,
    edit: Callable[[Account], Account],
    made: Callable[[Account], list[PendingEvent]],
) -> Account:
    """Read, change, and write at the version read; again where no version was named and somebody came first."""
    for _ in range(ATTEMPTS):
        before = await get(store, account_id)
        before.require_version(version)
        after = edit(before)
        if after == before:
            return before
        after = after.model_copy(update={"version": before.version + 1, "updated_at": utcnow()})
        if await store.replace(before, after, made(after)):
            return after
    raise StaleVersion((await get(store, account_id)).version)
