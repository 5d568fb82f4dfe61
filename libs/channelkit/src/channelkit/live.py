"""An open session with its lane, its probes and its requests."""

import asyncio
import json
from typing import Literal

from contracts.state import DesiredAccount, SessionStatus
from servicekit import tasks
from servicekit.clock import boottime, utcnow
from servicekit.errors import KurirError
from servicekit.logs import get_logger
from servicekit.secrets import Sealer

from channelkit.hosting import SessionHost
from channelkit.kit import Kit
from channelkit.lane import Lane
from channelkit.lane_context import LaneContext, LaneSettings
from channelkit.protocol import Credentials, NeedsLogin, Session
from channelkit.reporting import Reporter
from channelkit.requests import AccountRequests

_log = get_logger("channelkit.live")
_SENDING = (SessionStatus.READY, SessionStatus.DEGRADED)


def open_credentials(sealer: Sealer, desired: DesiredAccount) -> Credentials:
    """Return the account's secrets. Raises SealError for other keys or another account's text."""
    if not desired.credentials:
        return Credentials()
    return Credentials(json.loads(sealer.open(desired.credentials, desired.account_id)))


class LiveSession:
    """A session from its opening to its end. The lane runs while the session is ready and truly answers."""

    def __init__(self, kit: Kit, reporter: Reporter, host: SessionHost, session: Session) -> None:
        self.host, self.session = host, session
        self._kit, self._reporter = kit, reporter
        self._account_id = host.account.account_id
        self._requests = AccountRequests(kit, reporter, host, session)
        self._lane: Lane | None = None
        self._silent = False
        """A probe failed: nothing is sent until one succeeds."""
        self._probing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Answer requests, probe, and start the lane once ready."""
        await self._requests.start()
        self._probing = asyncio.create_task(self._probe_for_ever(), name=f"probe {self._account_id}")
        await self.sync_lane()

    async def sync_lane(self) -> None:
        """Start or stop the lane, as the session's state says."""
        wanted = not self._silent and self._reporter.state.status in _SENDING
        if wanted and self._lane is None:
            lane = Lane(self._lane_context())
            await lane.start()
            self._lane = lane
        elif not wanted and self._lane is not None:
            await self._stop_lane(self._kit.send_timeout)

    def kick(self) -> None:
        """Tell the lane that something it obeys has changed."""
        if self._lane:
            self._lane.kick()

    def apply(self, desired: DesiredAccount) -> None:
        """Take over pace, worker and settings without closing the session."""
        self.host.account = desired
        self.kick()

    def refresh(self, worker: Literal["on", "off", "stopping"]) -> None:
        """Copy the lane's status into the state to report."""
        if self._lane is None:
            self._reporter.update(worker=worker, next_send_at=None, in_flight=[])
            return
        status = self._lane.status
        self._reporter.update(
            urgent=status.worker != self._reporter.state.worker,
            worker=status.worker,
            next_send_at=status.next_send_at,
            queue_length=status.queue_length,
            in_flight=list(status.in_flight)[:200],
            restricted_until=status.restricted_until,
            restricted_reason=status.restricted_reason,
        )

    async def stop_sending(self, grace_seconds: float) -> None:
        """Stop lane and requests for good, the session still open."""
        self._silent = True
        await tasks.end([self._probing])
        await self._requests.stop()
        await self._stop_lane(grace_seconds)

    async def close(self, grace_seconds: float) -> None:
        """Stop pulling at once, wait for what is out, close the session."""
        await self.stop_sending(grace_seconds)
        self.host.retired = True
        try:
            await asyncio.wait_for(self.session.close(), self._kit.driver.capabilities.close_seconds)
        except Exception as error:
            _log.warning("a session did not close well", account=self._account_id, error=repr(error)[:300])
        finally:
            self.host.closed = True

    async def _stop_lane(self, grace_seconds: float) -> None:
        lane, self._lane = self._lane, None
        if lane:
            await lane.stop(grace_seconds)

    def _lane_context(self) -> LaneContext:
        kit, account_id = self._kit, self._account_id
        inherited_at = kit.leases.inherited_at(account_id)
        return LaneContext(
            bus=kit.bus,
            channel=kit.channel,
            account_id=account_id,
            desired=lambda: kit.desired.get(account_id) or self.host.account,
            worker_on=lambda: kit.desired.worker_on(account_id),
            lease_epoch=lambda: kit.leases.held(account_id),
            fresh=kit.freshness.fresh,
            session=self.session,
            capabilities=kit.driver.capabilities,
            host=self.host,
            suppressions=kit.suppressions,
            settings=LaneSettings(send_timeout_seconds=kit.send_timeout),
            starts_at=inherited_at + kit.send_timeout if inherited_at is not None else boottime(),
        )

    async def _probe_for_ever(self) -> None:
        settings = self._kit.settings
        while True:
            await asyncio.sleep(settings.probe_seconds)
            if self._reporter.state.status not in _SENDING:
                continue
            try:
                await asyncio.wait_for(self.session.probe(), settings.probe_timeout_seconds)
            except NeedsLogin as error:
                await self.host.report(SessionStatus.LOGGED_OUT, str(error))
            except Exception as error:
                await self._no_answer(error)
            else:
                await self._answered()

    async def _no_answer(self, error: Exception) -> None:
        self._silent = True
        text = (error.detail or error.reason) if isinstance(error, KurirError) else str(error) or type(error).__name__
        await self.host.report(SessionStatus.DEGRADED, f"no sign of life: {text}"[:500])

    async def _answered(self) -> None:
        """Undo what silence or a restriction that is over did to the state."""
        self.host.alive()
        state, was_silent = self._reporter.state, self._silent
        self._silent = False
        restricted = state.restricted_until is not None and state.restricted_until > utcnow()
        recovered = was_silent or state.restricted_until is not None
        if state.status is SessionStatus.DEGRADED and recovered and not restricted:
            await self.host.report(SessionStatus.READY)
        elif was_silent:
            await self.host.report(state.status, state.reason)
