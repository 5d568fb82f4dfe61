"""What the bus says about accounts: what a person wants of each, and what its session last reported."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from contracts import subjects
from contracts.channels import Channel
from contracts.state import ALL, DesiredAccount, SessionState, SessionStatus, WorkerSwitch
from pydantic import RootModel
from servicekit.bus import Bus
from servicekit.clock import utcnow
from servicekit.errors import Unavailable
from servicekit.watch import BucketWatch

_FIT = (SessionStatus.READY, SessionStatus.DEGRADED)


class _Desired(RootModel[DesiredAccount | WorkerSwitch]):
    """A value of `accounts_<channel>`: an account, or under `_all` the switch."""


class Accounts:
    """The watched state of every channel's accounts. Without a bus it knows none."""

    def __init__(self, bus: Bus | None = None, channels: Iterable[Channel] = ()) -> None:
        """Prepare a watch of each channel's two buckets; run them with `watches`."""
        self._desired: dict[Channel, BucketWatch[_Desired]] = {}
        self._sessions: dict[Channel, BucketWatch[SessionState]] = {}
        for channel in channels:
            if bus is None:
                break
            self._desired[channel] = BucketWatch(bus, subjects.bucket("accounts", channel), _Desired)
            self._sessions[channel] = BucketWatch(
                bus,
                subjects.bucket("sessions", channel),
                SessionState,
                keys="*",  # what is sealed beside a state lies under further tokens
            )

    @property
    def watches(self) -> list[BucketWatch[_Desired] | BucketWatch[SessionState]]:
        """Return what has to `run` in the background."""
        return [*self._desired.values(), *self._sessions.values()]

    def desired(self, channel: Channel, account_id: str) -> DesiredAccount | None:
        """Return what a person wants of the account, None for one that does not exist on the channel."""
        watch = self._desired.get(channel)
        found = watch.state.get(account_id) if watch else None
        value = found[0].root if found else None
        return value if isinstance(value, DesiredAccount) else None

    def known(self, channel: Channel, account_id: str) -> DesiredAccount | None:
        """Return what `desired` does. Raises Unavailable right after the start, before the accounts were read once."""
        watch = self._desired.get(channel)
        if watch is not None and not watch.ready.is_set():
            raise Unavailable("the accounts are being read: try again in a moment")
        return self.desired(channel, account_id)

    def session(self, channel: Channel, account_id: str) -> SessionState | None:
        """Return what the account's holder last reported."""
        watch = self._sessions.get(channel)
        found = watch.state.get(account_id) if watch else None
        return found[0] if found else None

    def sessions(self) -> list[SessionState]:
        """Return every session known."""
        return [value for watch in self._sessions.values() for value, _ in watch.state.values()]

    def worker_off(self, channel: Channel, account_id: str) -> bool:
        """Return whether sending is switched off, for the account or for all."""
        watch = self._desired.get(channel)
        switch = watch.state.get(ALL) if watch else None
        everything = switch[0].root if switch else None
        desired = self.desired(channel, account_id)
        return (isinstance(everything, WorkerSwitch) and not everything.worker) or desired is None or not desired.worker

    def unfit(self, channel: Channel, account_id: str, *, bulk: bool = True, now: datetime | None = None) -> str | None:
        """Return why nothing is dispatched to the account now, None when something may be.

        *bulk*: also refused by caps and quiet hours, which show as a next send more than five minutes away.
        """
        desired, session, now = self.desired(channel, account_id), self.session(channel, account_id), now or utcnow()
        if desired is None or desired.status != "active":
            return "account_off"
        if self.worker_off(channel, account_id):
            return "worker_off"
        if session is None or session.status not in _FIT:
            return "not_ready"
        if session.restricted_until and session.restricted_until > now:
            return "restricted"
        if bulk and session.next_send_at and session.next_send_at > now + timedelta(minutes=5):
            return "resting"
        return None
