"""What the channels say of the accounts' sessions: watched in KV for pages, kept in the documents for filters."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence

from contracts import subjects
from contracts.channels import EXTRACTORS, Channel
from contracts.state import Lease, SessionState, SessionStatus, ShownChallenge
from servicekit.bus import Bus
from servicekit.clock import utcnow
from servicekit.errors import Unavailable
from servicekit.kv import Bucket, BucketWatch
from servicekit.logs import get_logger

from accounts.domain import LastSession, is_fresh
from accounts.ports import AccountStore

_log = get_logger("accounts.sessions")
_NOBODY = (SessionStatus.OFF, SessionStatus.FAILED, SessionStatus.LOGGED_OUT, SessionStatus.DELETED)
"""States in which no session is open, so that nothing can leave."""


class Sessions:
    """The sessions of every enabled channel."""

    def __init__(self, bus: Bus, channels: Sequence[Channel], proof_seconds: float) -> None:
        """*proof_seconds*: after it a sign of life is old."""
        self._bus, self._proof_seconds = bus, proof_seconds
        self._news = asyncio.Condition()
        self._watches: Mapping[Channel, BucketWatch[SessionState]] = {
            channel: BucketWatch(
                bus,
                subjects.bucket("sessions", channel),
                SessionState,
                self._heard,
                keys="*",  # what is sealed beside a state lies under further tokens
            )
            for channel in channels
            if channel not in EXTRACTORS
        }

    async def watch(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            for watch in self._watches.values():
                group.create_task(watch.run())

    def last(self, channel: Channel, account_id: str) -> SessionState | None:
        """Return the state as last heard; at once."""
        watch = self._watches.get(channel)
        found = watch.state.get(account_id) if watch else None
        return found[0] if found else None

    async def obeys(self, channel: Channel, account_id: str, version: int, seconds: float) -> bool:
        """Wait until whoever holds the account acts on *version*; False where that is not so after *seconds*."""

        def there() -> bool:
            state = self.last(channel, account_id)
            return state is None or state.status in _NOBODY or state.observed_version >= version

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._news:
                await self._news.wait_for(there)
        return there()

    async def _heard(self, *_: object) -> None:
        async with self._news:
            self._news.notify_all()

    async def fetch(self, channel: Channel, account_id: str) -> SessionState | None:
        """Return the state from KV itself. Raises Unavailable."""
        if channel not in self._watches:
            return None
        entry = await Bucket(self._bus, subjects.bucket("sessions", channel), SessionState).get(account_id)
        return entry.value if entry else None

    async def shown(self, channel: Channel, account_id: str) -> ShownChallenge | None:
        """Return what lies sealed beside the state for a person to see. Raises Unavailable."""
        if channel not in self._watches:
            return None
        bucket = Bucket(self._bus, subjects.bucket("sessions", channel), ShownChallenge)
        entry = await bucket.get(subjects.shown_key(account_id))
        return entry.value if entry else None

    async def lease(self, channel: Channel, account_id: str) -> Lease | None:
        """Return who holds the account. Raises Unavailable."""
        if channel not in self._watches:
            return None
        entry = await Bucket(self._bus, subjects.bucket("leases", channel), Lease).get(account_id)
        return entry.value if entry else None

    def fresh(self, state: SessionState) -> bool:
        """Return whether the session truly answered lately."""
        return is_fresh(state, utcnow(), self._proof_seconds)

    async def keep(self, store: AccountStore, every_seconds: float) -> None:
        """Carry freshness, and states whose event never came, into the documents; until cancelled."""
        while True:
            try:
                await self.carry(store)
            except Unavailable as error:
                _log.info("sessions wait", error=str(error))
            await asyncio.sleep(every_seconds)

    async def carry(self, store: AccountStore) -> None:
        """Compare once."""
        known = await store.sessions()
        for watch in self._watches.values():
            for account_id, (state, _) in list(watch.state.items()):
                if account_id in known:
                    await self._carry_one(store, state, known[account_id])

    async def _carry_one(self, store: AccountStore, state: SessionState, last: LastSession | None) -> None:
        fresh = self.fresh(state)
        if last is None or (state.status is not last.status and state.since > last.at):
            news = LastSession(status=state.status, reason=state.reason, at=state.since, fresh=fresh)
            await store.note_session(state.account_id, news)
        elif last.fresh is not fresh:
            await store.note_fresh(state.account_id, fresh=fresh)
