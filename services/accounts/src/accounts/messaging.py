"""What the channels report: login states and log lines. Each handler may run twice for the same message."""

from collections.abc import Awaitable, Callable

from contracts import subjects
from contracts.events import LogLine, SessionChanged
from contracts.state import SessionStatus
from servicekit.bus import Bus
from servicekit.delivery import Received, subscribe_batch

from accounts.deleting import Deletions
from accounts.domain import LastSession
from accounts.logbook import Logbook
from accounts.ports import AccountStore

Announce = Callable[[str, list[str]], Awaitable[None]]


class Reports:
    """Takes what channels publish about sessions."""

    def __init__(self, store: AccountStore, logs: Logbook, deletions: Deletions, announce: Announce) -> None:
        """*announce* tells live pages (kind, account ids)."""
        self._store, self._logs, self._deletions, self._announce = store, logs, deletions, announce

    def subscribe(self, bus: Bus) -> None:
        """Declare both subscriptions."""
        subscribe_batch(
            bus,
            stream="EVENTS",
            durable="accounts_sessions",
            subjects=[subjects.session("*", "*")],
            handler=self.sessions,
            batch=100,
        )
        subscribe_batch(
            bus, stream="EVENTS", durable="accounts_logs", subjects=[subjects.log("*", "*")], handler=self.lines
        )

    async def sessions(self, batch: list[Received]) -> None:
        """Keep the last state of each session; `deleted` lets a deletion finish."""
        for item in batch:
            event: SessionChanged = item.data
            news = LastSession(status=event.status, reason=event.reason, at=event.at)
            if await self._store.note_session(event.account_id, news) and event.status is SessionStatus.DELETED:
                self._deletions.wake.set()
        await self._announce("session", sorted({item.data.account_id for item in batch}))

    async def lines(self, batch: list[Received]) -> None:
        """Keep log lines of accounts that exist; those of a deleted one went with it."""
        lines: list[LogLine] = [item.data for item in batch]
        existing = await self._store.existing(sorted({line.account_id for line in lines}))
        await self._logs.add([line for line in lines if line.account_id in existing])
        await self._announce("log", sorted(existing))
