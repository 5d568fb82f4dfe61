"""What people do with imports: begin, upload piece by piece, complete, give up. Each may be done twice."""

import asyncio
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from contracts.events import LogLine
from contracts.state import ImportedSession
from servicekit.clock import utcnow
from servicekit.errors import Conflict, Invalid, NotFound
from servicekit.failpoints import failpoint
from servicekit.logs import get_logger

from accounts import events
from accounts import usecases as accounts
from accounts.domain import Account
from accounts.imports.domain import (
    PER_ACCOUNT,
    Chunk,
    Import,
    State,
    import_id,
    require_browser,
    require_size,
)
from accounts.imports.pieces import Pieces, sha256
from accounts.imports.store import ImportStore
from accounts.logbook import Logbook
from accounts.ports import AccountStore

_log = get_logger("accounts.imports")


@dataclass(frozen=True)
class Limits:
    """What the deployment allows; sizes in bytes."""

    size: int
    chunk: int
    open: int
    days: float


@dataclass(frozen=True)
class Piece:
    """A chunk as it was uploaded; `sha256` in hex, as the client says."""

    number: int
    sha256: str
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Importing:
    """What importing takes."""

    store: ImportStore
    pieces: Pieces
    accounts: AccountStore
    logs: Logbook
    limits: Limits
    one_at_a_time: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    """A whole session is held in memory while it is sealed: one of them."""


async def begin(to: Importing, account: Account, *, size: int, digest: str, by: str) -> tuple[Import, bool]:
    """Announce a session; return the import and whether it is new (the same content again goes on with its import).

    Raises Conflict where the account has no browser session or there are too many half uploads, Invalid for its size.
    """
    require_browser(account)
    require_size(size, to.limits.size)
    now = utcnow()
    new = Import(
        id=import_id(account.id, size, digest),
        account_id=account.id,
        channel=account.channel,
        size=size,
        sha256=digest,
        chunk_bytes=to.limits.chunk,
        created_by=by,
        created_at=now,
        expires_at=now + timedelta(days=to.limits.days),
    )
    known = await to.store.get(new.id)
    if known is not None and not known.complete and known.expires_at <= now:
        await _discard(to, known)
        known = None
    if known is not None:
        return known, False
    await _require_room(to, account)
    if not await to.store.insert(new):
        return await get(to, account, new.id), False
    await _say(to, new, "info", f"Session import begun by {by}: {size} bytes")
    return new, True


async def _require_room(to: Importing, account: Account) -> None:
    half = [one for one in await to.store.of(account.id) if not one.complete]
    if len(half) >= PER_ACCOUNT or await to.store.count_open() >= to.limits.open:
        raise Conflict(
            f"There are too many half uploads ({', '.join(one.id for one in half) or 'of other accounts'}): "
            "complete them, give one up with DELETE, or wait until they expire.",
            reason="too_many_imports",
        )


async def get(to: Importing, account: Account, import_id: str) -> Import:
    """Return an import of the account. Raises NotFound."""
    found = await to.store.get(import_id)
    if found is None or found.account_id != account.id:
        raise NotFound(f"There is no session import {import_id} of this account.")
    return found


async def state(to: Importing, account: Account, found: Import, refused: str) -> State:
    """Return what became of an import. *refused*: the last one its channel could not use. Raises Unavailable."""
    if not found.complete:
        return State.OPEN
    if account.session_import is None or account.session_import.id != found.id:
        return State.REPLACED
    if refused == found.id:
        return State.REFUSED
    return State.COMPLETE if await to.pieces.has(account.session_import.object) else State.TAKEN_OVER


async def put_chunk(to: Importing, account: Account, import_id: str, piece: Piece) -> None:
    """Keep a piece; the same one again changes nothing.

    Raises NotFound, Conflict where the import is complete or expired, Invalid for a wrong length or digest.
    """
    require_browser(account)
    found = await get(to, account, import_id)
    found.require_open(utcnow())
    number, length = piece.number, found.length(piece.number)
    if len(piece.data) != length:
        raise Invalid({"body": f"chunk {number} must have {length} bytes, not {len(piece.data)}"})
    if await sha256(piece.data) != piece.sha256:
        raise Invalid({"Content-Digest": "does not fit the body: send the chunk again"})
    before = found.chunks.get(number)
    if before is not None and before.sha256 == piece.sha256:
        return
    stored = Chunk(sha256=piece.sha256, object=await to.pieces.put(found, number, piece.data))
    failpoint("import.after_chunk")
    if not await to.store.note_chunk(found.id, number, stored):
        await to.pieces.remove(stored.object)
        raise Conflict("The import is complete, or was given up.", reason="import_complete")
    if before is not None:
        await to.pieces.remove(before.object)


async def complete(to: Importing, account: Account, import_id: str, *, by: str) -> tuple[Import, Account]:
    """Check the whole, seal it for the channel and let the account log in with it; done again, it changes nothing.

    Raises NotFound, Conflict where pieces are missing, Invalid where the whole does not fit its digest.
    """
    require_browser(account)
    found = await get(to, account, import_id)
    if not found.complete:
        found.require_open(utcnow())
        async with to.one_at_a_time:
            account, found = await accounts.get(to.accounts, account.id), await get(to, account, import_id)
            account = account if found.complete else await _hand_over(to, account, found, by)
    return await get(to, account, import_id), account


async def _hand_over(to: Importing, account: Account, found: Import, by: str) -> Account:
    former = account.session_import
    if former is None or former.id != found.id:  # else a crash came between the account's change and ours
        object_id = await to.pieces.hand_over(found, await _whole(to, found))
        failpoint("import.after_object")
        account = await _point(to, account, found, object_id)
        if account.session_import and account.session_import.object != object_id:
            await to.pieces.remove(object_id)  # somebody else completed it at the same time
        failpoint("import.after_account")
    named = account.session_import
    await to.store.complete(found.id, named.object if named else "", utcnow())
    await to.pieces.remove(*(chunk.object for chunk in found.chunks.values()))
    if former is not None and former.id != found.id:
        await to.pieces.remove(former.object)
    await _say(to, found, "info", f"Session imported by {by}: {found.size} bytes, sha256 {found.sha256[:12]}…")
    return account


async def _whole(to: Importing, found: Import) -> bytes:
    if found.missing:
        raise _incomplete(found.missing)
    parts: list[bytes] = []
    for number in range(found.chunks_total):
        try:
            parts.append(await to.pieces.get(found, number))
        except NotFound:
            await to.store.forget_chunk(found.id, number)
            raise _incomplete([number]) from None
    data = b"".join(parts)
    if await sha256(data) != found.sha256:
        raise Invalid({"sha256": "does not fit what was uploaded: give this import up and begin again"})
    return data


def _incomplete(missing: list[int]) -> Conflict:
    shown = ", ".join(map(str, missing[:20])) + (" …" if len(missing) > 20 else "")
    return Conflict(f"{len(missing)} chunks are missing: {shown}", reason="import_incomplete")


async def _point(to: Importing, account: Account, found: Import, object_id: str) -> Account:
    """Let the desired state name the session: a new login, so that whoever holds the account opens it anew."""

    def renewed(current: Account) -> Account:
        require_browser(current)
        if current.session_import is not None and current.session_import.id == found.id:
            return current
        version = current.version + 1
        given = ImportedSession(id=found.id, object=object_id, login_version=version)
        return current.model_copy(update={"session_import": given, "login_version": version})

    return await accounts.change(to.accounts, account.id, None, renewed, lambda after: [events.changed(after)])


async def give_up(to: Importing, account: Account, import_id: str, *, by: str) -> None:
    """Forget a half upload for good. Raises NotFound, Conflict where it is complete."""
    found = await get(to, account, import_id)
    if found.complete:
        raise Conflict("The import is complete: the account logs in with it.", reason="import_complete")
    await _discard(to, found)
    await _say(to, found, "info", f"Session import given up by {by}")


async def _discard(to: Importing, found: Import) -> None:
    await to.store.remove(found.id)
    await to.pieces.remove(*(chunk.object for chunk in found.chunks.values()))


async def _say(to: Importing, about: Import, kind: Literal["info", "warning"], text: str) -> None:
    """Add a line to the account's Logs tab and to our own log: who did what, never a byte of it."""
    _log.info(text, account=about.account_id, channel=str(about.channel), session_import=about.id)
    line = LogLine(
        id=secrets.token_hex(12), account_id=about.account_id, channel=about.channel, type=kind, text=text, at=utcnow()
    )
    await to.logs.add([line])
