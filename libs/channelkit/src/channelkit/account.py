"""One account held by this replica: reconciles what is wanted with what is, on its own, so that none waits for another."""

import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

from contracts.state import DesiredAccount, SessionStatus
from servicekit.clock import boottime
from servicekit.errors import KurirError, Unavailable
from servicekit.logs import get_logger

from channelkit.backoff import Backoff
from channelkit.hosting import SessionHost
from channelkit.kit import Kit
from channelkit.live import LiveSession, open_credentials
from channelkit.protocol import NeedsLogin, Session
from channelkit.reconcile import Action, SessionView, decide
from channelkit.removal import clean_account, delete_account
from channelkit.reporting import Reporter

_log = get_logger("channelkit.account")
_OPEN_SECONDS = 60.0
_PAUSE_SECONDS = 0.5
_AWAY_SECONDS = 2.0
_HELD = frozenset(SessionStatus) - {
    SessionStatus.OFF, SessionStatus.FAILED, SessionStatus.LOGGED_OUT, SessionStatus.DELETED,
}  # fmt: skip
"""States that last only while somebody holds the session."""


class AccountRunner:
    """Reconciles one account until `stop`; `ended` once nothing is left to do for it here."""

    def __init__(self, kit: Kit, account_id: str) -> None:
        self._kit, self.account_id = kit, account_id
        self.view = SessionView()
        self.live: LiveSession | None = None
        self.ended = False
        self.leaving = False
        self.reporter = Reporter(
            kit.bus, kit.journal, kit.channel, account_id, kit.members.replica,
            sealer=kit.sealer, every_seconds=kit.settings.report_seconds, may_write=self._held,
        )  # fmt: skip
        self._closing = asyncio.Event()
        self._wake = asyncio.Event()
        self._backoff = Backoff(kit.settings.first_backoff_seconds, self._retry_now)
        self._task: asyncio.Task[None] | None = None
        self._opening: asyncio.Task[Session] | None = None

    def start(self) -> None:
        """Begin reconciling."""
        self._task = asyncio.create_task(self._run(), name=f"account {self.account_id}")

    def wake(self) -> None:
        """Look again: something may have changed."""
        self._wake.set()
        if self.live:
            self.live.kick()

    async def stop(self) -> None:
        """Stop pulling at once, wait for what is out (at most a send timeout), close the session. Keeps the lease."""
        self._closing.set()
        self._wake.set()
        if self._opening:
            self._opening.cancel()
        if self._task:
            await self._task
        if self.reporter.state.status in _HELD:  # until the next holder reports, nobody is logged in
            self.reporter.change(
                SessionStatus.CONNECTING, "the service stopped; it goes on with its next start, or on another replica"
            )
            await self.reporter.flush(force=True)
        self.ended = True

    def refresh(self) -> None:
        """Copy what the lane says into the state to report."""
        desired, live = self._desired(), self.live
        on = desired is not None and self._kit.desired.worker_on(self.account_id)
        if live is None:
            self.reporter.update(worker="on" if on else "off", next_send_at=None, queue_length=0, in_flight=[])
        else:
            live.refresh(worker="on" if on else "off")

    def _held(self) -> bool:
        return self._kit.leases.held(self.account_id) is not None

    def _desired(self) -> DesiredAccount | None:
        return self._kit.desired.get(self.account_id)

    async def _run(self) -> None:
        await self._until_done(self.reporter.load)
        self._recognise()
        while not self._closing.is_set() and not self.ended:
            self._wake.clear()
            await self._drop_failed()
            action = decide(self._desired(), held=self._held(), session=self.view)
            if action is Action.NOTHING:
                await self._rest()
            else:
                await self._survive(self._do(action))
        self._backoff.cancel()
        await self._survive(self.close_session())

    def _recognise(self) -> None:
        """See that an earlier holder already closed or deleted the account as it is wanted now."""
        desired, state = self._desired(), self.reporter.state
        ends = {"inactive": SessionStatus.OFF, "deleting": SessionStatus.DELETED}
        if desired and state.status is ends.get(desired.status) and state.observed_version == desired.version:
            self._finish(desired)

    async def _rest(self) -> None:
        if self.live:
            await self._survive(self.live.sync_lane())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), self._kit.settings.report_seconds)

    async def _do(self, action: Action) -> None:
        _log.info("reconciling", account=self.account_id, action=str(action))
        desired = self._desired()
        match action:
            case Action.STEP_BACK:
                await self.close_session()
                self.ended = True
            case Action.OPEN if desired:
                await self._open(desired)
            case Action.REOPEN if desired:
                await self.close_session()
            case Action.APPLY if desired:
                self._apply(desired)
                await self.reporter.flush()  # somebody may be waiting for the word that a worker is off
            case Action.CLOSE if desired:
                await self._off(desired)
            case Action.DELETE if desired:
                await delete_account(self._kit, self)
                self._finish(desired)
            case Action.CLEAN:
                await self.close_session()
                if await self._kit.desired.was_deleted(self.account_id):
                    await clean_account(self._kit, self.account_id)
                self.ended = True

    async def _open(self, desired: DesiredAccount) -> None:
        if (left := self._former_holder_seconds()) > 0:
            await self._await_former_holder(desired, left)
            return
        if desired.login_version != self.view.login_version:
            self._backoff.reset()
        self._backoff.begin()
        self.view = SessionView(version=desired.version, login_version=desired.login_version, waiting=True)
        self.reporter.update(urgent=True, observed_version=desired.version)
        self.reporter.change(SessionStatus.CONNECTING)
        await self.reporter.flush()
        try:
            host = SessionHost(
                self._kit, self.reporter, desired, open_credentials(self._kit.sealer, desired), self._on_status
            )
            self._opening = asyncio.create_task(self._kit.driver.open(host))
            session = await asyncio.wait_for(self._opening, _OPEN_SECONDS)
        except asyncio.CancelledError:
            if not self._closing.is_set():
                raise
        except NeedsLogin as error:
            self.reporter.change(SessionStatus.LOGGED_OUT, str(error))
        except (KurirError, TimeoutError, OSError) as error:
            self._fail(_reason(error))
        except Exception as error:
            _log.error("a driver failed to open a session", account=self.account_id, exc_info=error)
            self._fail(f"internal error: {type(error).__name__}")
        else:
            self.live = LiveSession(self._kit, self.reporter, host, session)
            self.view = replace(self.view, is_open=True, waiting=False)
            await self.live.start()

    def _former_holder_seconds(self) -> float:
        """Return how long a dead holder's session may still be open where a second one beside it harms the account."""
        inherited_at = self._kit.leases.inherited_at(self.account_id)
        if inherited_at is None or not self._kit.driver.capabilities.exclusive_session:
            return 0.0
        return inherited_at + self._kit.send_timeout - boottime()

    async def _await_former_holder(self, desired: DesiredAccount, seconds: float) -> None:
        self.reporter.update(urgent=True, observed_version=desired.version)
        self.reporter.change(SessionStatus.CONNECTING, "waiting for the former holder")
        await self.reporter.flush()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)

    def _apply(self, desired: DesiredAccount) -> None:
        self.view = replace(self.view, version=desired.version)
        self.reporter.update(urgent=True, observed_version=desired.version)
        self.refresh()
        if self.live:
            self.live.apply(desired)

    async def _off(self, desired: DesiredAccount) -> None:
        await self.close_session()
        self.reporter.update(urgent=True, observed_version=desired.version)
        self.reporter.change(SessionStatus.OFF)
        self.refresh()
        if await self.reporter.flush(force=True):
            self._finish(desired)
        else:
            await asyncio.sleep(0.5)

    def _finish(self, desired: DesiredAccount) -> None:
        self.view = SessionView(version=desired.version, ended=True)
        self.ended = True

    async def close_session(self) -> None:
        """Close the session, if one is open."""
        live, self.live = self.live, None
        self.view = replace(self.view, is_open=False)
        if live:
            await live.close(self._kit.send_timeout)

    def _on_status(self, host: SessionHost) -> None:
        if self.live is None or self.live.host is host:
            self._wake.set()

    async def _drop_failed(self) -> None:
        """Close a session that reported its own end: failed ones come back by themselves, logged out ones do not."""
        status = self.reporter.state.status
        if self.live is None or status not in (SessionStatus.FAILED, SessionStatus.LOGGED_OUT):
            return
        await self._survive(self.close_session())
        self.view = replace(self.view, waiting=True)
        if status is SessionStatus.FAILED:
            self._backoff.failed()

    def _fail(self, reason: str) -> None:
        self.reporter.change(SessionStatus.FAILED, reason)
        self._backoff.failed()

    def _retry_now(self) -> None:
        self.view = replace(self.view, waiting=False)
        self._wake.set()

    async def _survive(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except KurirError as error:
            await self._pause(error)
        except Exception as error:
            _log.error("an account's step failed", account=self.account_id, exc_info=error)
            await asyncio.sleep(1.0)

    async def _until_done(self, work: Any) -> None:
        while not self._closing.is_set():
            try:
                await work()
            except KurirError as error:
                await self._pause(error)
            else:
                return

    async def _pause(self, error: KurirError) -> None:
        """Say what went wrong and wait a moment; that NATS is away the bus says once, and not each of its accounts."""
        if self._kit.bus.connected:
            _log.warning("tried again soon", account=self.account_id, error=str(error))
            await asyncio.sleep(_PAUSE_SECONDS)
        else:
            with contextlib.suppress(Unavailable):
                await self._kit.bus.wait_connected(_AWAY_SECONDS)


def _reason(error: Exception) -> str:
    if isinstance(error, KurirError):
        return error.detail or error.reason
    return str(error) or "no answer in time"
