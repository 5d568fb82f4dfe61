"""What use cases need of storage. `store.py` gives it; so may anything else that keeps these promises."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from contracts.channels import Channel
from contracts.state import SessionStatus

from accounts.domain import Account, Dot, LastSession, PendingEvent, Status, Tombstone


@dataclass(frozen=True)
class Query:
    """What a list is narrowed by; None: not at all."""

    limit: int
    after: str | None = None
    channels: Sequence[Channel] | None = None
    dot: Dot | None = None
    session: SessionStatus | None = None
    status: Status | None = None
    active: bool | None = None
    text: str = ""


class Behind(NamedTuple):
    """Events waiting in a document."""

    place: str
    account_id: str
    events: list[PendingEvent]


class AccountStore(Protocol):
    """Where accounts are kept; each method is one atomic step. Raises servicekit's Unavailable."""

    async def prepare(self) -> None: ...  # noqa: D102
    async def insert(self, account: Account, events: Sequence[PendingEvent]) -> bool: ...  # noqa: D102
    async def get(self, account_id: str) -> Account | None: ...  # noqa: D102
    async def page(self, query: Query) -> list[Account]: ...  # noqa: D102
    async def replace(self, before: Account, after: Account, events: Sequence[PendingEvent]) -> bool: ...  # noqa: D102
    async def behind(self, limit: int) -> list[Account]: ...  # noqa: D102
    async def mark_projected(self, account_id: str, version: int) -> None: ...  # noqa: D102
    async def note_session(self, account_id: str, session: LastSession) -> bool: ...  # noqa: D102
    async def note_fresh(self, account_id: str, *, fresh: bool) -> bool: ...  # noqa: D102
    async def sessions(self) -> dict[str, LastSession | None]: ...  # noqa: D102
    async def unsent(self, limit: int) -> list[Behind]: ...  # noqa: D102
    async def drop_event(self, place: str, account_id: str, event_id: str) -> None: ...  # noqa: D102
    async def deleting(self, limit: int) -> list[Account]: ...  # noqa: D102
    async def bury(self, tombstone: Tombstone, events: Sequence[PendingEvent]) -> None: ...  # noqa: D102
    async def tombstone(self, account_id: str) -> Tombstone | None: ...  # noqa: D102
    async def remove(self, account_id: str) -> None: ...  # noqa: D102
    async def imported_objects(self) -> set[str]: ...  # noqa: D102
    async def existing(self, account_ids: Sequence[str]) -> set[str]: ...  # noqa: D102
