"""Half uploads expire, done ones are forgotten, and what a crash left in the object store goes."""

import asyncio
from datetime import timedelta

from servicekit.clock import utcnow
from servicekit.logs import get_logger

from accounts.domain import Account
from accounts.imports.usecases import Importing
from accounts.waking import repeat

KEEP_DAYS = 30
ORPHAN_SECONDS = 3_600.0
"""Longer than an upload of one piece or a hand-over may take."""
_log = get_logger("accounts.imports")


async def tidy(to: Importing) -> None:
    """Do it once. Raises Unavailable."""
    now, needed = utcnow(), set[str]()
    for one in await to.store.all():
        since = one.completed_at or one.created_at
        if (not one.complete and one.expires_at <= now) or since < now - timedelta(days=KEEP_DAYS):
            await to.store.remove(one.id)
            _log.info("a session import is forgotten", account=one.account_id, complete=one.complete)
        else:
            needed |= {chunk.object for chunk in one.chunks.values()}
    needed |= await to.accounts.imported_objects()
    if removed := await to.pieces.collect(needed, ORPHAN_SECONDS):
        _log.info("objects of imports that nobody needs are removed", count=removed)


async def run(to: Importing, every_seconds: float) -> None:
    """Tidy until cancelled."""
    await repeat(lambda: tidy(to), asyncio.Event(), every_seconds, "tidying of imports")


async def forget(to: Importing, account: Account) -> None:
    """Remove every trace of a deleted account's imports. Raises Unavailable."""
    for one in await to.store.of(account.id):
        await to.pieces.remove(*(chunk.object for chunk in one.chunks.values()))
        await to.store.remove(one.id)
    if account.session_import is not None:
        await to.pieces.remove(account.session_import.object)
