"""The end of an account: its queues end as failed, its session and its traces go."""

import asyncio
import contextlib
from typing import Protocol

from contracts import subjects
from contracts.state import DesiredAccount, SessionStatus
from nats.js.errors import NotFoundError
from servicekit.bus_errors import translated
from servicekit.errors import Unavailable
from servicekit.failpoints import failpoint
from servicekit.logs import get_logger

from channelkit.attempts import forget
from channelkit.drain import drain
from channelkit.hosting import SessionHost
from channelkit.kit import Kit
from channelkit.live import LiveSession, open_credentials
from channelkit.protocol import Session
from channelkit.reporting import Reporter

REASON = "account_deleted"
_LOG_OUT_SECONDS = 30.0
_FLUSH_SECONDS = 10.0
_log = get_logger("channelkit.removal")


class Removable(Protocol):
    """What removing needs of an account's runner."""

    account_id: str
    live: LiveSession | None
    reporter: Reporter

    async def close_session(self) -> None:
        """Close the session, if one is open."""


async def delete_account(kit: Kit, account: Removable) -> None:
    """Drain, log out, purge, report `deleted`: each step safe to do again after a crash. Raises Unavailable.

    The desired key stays until accounts has heard; the state's key until the desired one is gone.
    """
    account_id = account.account_id
    desired = kit.desired.get(account_id)
    if account.live:
        await account.live.stop_sending(kit.send_timeout)
    await drain(kit.bus, kit.channel, account_id, REASON, "the account was deleted")
    failpoint("delete.after_drain")
    if account.live:
        await _log_out(account.live.host, account.live.session)
        await account.close_session()
    elif desired and await kit.vault.load(account_id):
        await _log_out_closed(kit, account.reporter, desired)
    await kit.vault.purge(account_id)
    if desired and desired.session_import:
        await kit.vault.drop_import(desired.session_import)
    await _remove_traces(kit, account_id)
    account.reporter.update(observed_version=desired.version if desired else 0, identity="")
    account.reporter.change(SessionStatus.DELETED)
    await kit.journal.flush(_FLUSH_SECONDS)
    if not await account.reporter.flush(force=True):
        raise Unavailable("the state could not be written")
    await kit.leases.forget(account_id)


async def clean_account(kit: Kit, account_id: str) -> None:
    """Remove what is left of an account whose desired state is gone. Raises Unavailable.

    A sealed session stays until the vault's own collection: a bucket may come back from a backup, a login may not.
    """
    await drain(kit.bus, kit.channel, account_id, REASON, "the account does not exist")
    await _remove_traces(kit, account_id)
    await kit.sessions.purge(account_id)
    await kit.leases.forget(account_id)


async def _remove_traces(kit: Kit, account_id: str) -> None:
    stream = subjects.commands_stream(kit.channel)
    for queue in ("now", "bulk"):
        with contextlib.suppress(NotFoundError), translated(stream):
            await kit.bus.js.delete_consumer(stream, subjects.consumer(account_id, queue))
    forget(kit.bus, kit.channel, account_id)
    await kit.lanes.purge(account_id)
    await kit.cursors.purge(account_id)
    await kit.memos.purge(account_id)
    await kit.sessions.purge_prefix(account_id)


async def _log_out(host: SessionHost, session: Session) -> None:
    try:
        await asyncio.wait_for(session.log_out(), _LOG_OUT_SECONDS)
    except Exception as error:  # the platform may refuse or be away: the account goes all the same
        _log.warning("not logged out on the platform", error=repr(error)[:300])
        await host.log("warning", f"Not logged out on the platform: {type(error).__name__}")


async def _log_out_closed(kit: Kit, reporter: Reporter, desired: DesiredAccount) -> None:
    """Open the kept session once more, unheard, only to log it out."""
    try:
        host = SessionHost(kit, reporter, desired, open_credentials(kit.sealer, desired), lambda _: None)
        host.retired = True
        session = await asyncio.wait_for(kit.driver.open(host), _LOG_OUT_SECONDS)
    except Exception as error:
        reporter.log("warning", f"Not logged out on the platform: {type(error).__name__}")
        return
    await _log_out(host, session)
    with contextlib.suppress(Exception):
        await asyncio.wait_for(session.close(), _LOG_OUT_SECONDS)
    host.closed = True
