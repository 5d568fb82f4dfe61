"""Who may act for an account: leases passed by compare-and-set once their holder's heartbeat is gone."""

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from contracts import subjects
from contracts.channels import Channel
from contracts.state import Heartbeat, Lease
from servicekit.bus import Bus
from servicekit.clock import boottime, utcnow
from servicekit.errors import Conflict, Unavailable
from servicekit.kv import Bucket
from servicekit.logs import get_logger

from channelkit.members import Members
from channelkit.shares import FREE, fair_share, free_accounts, surplus

_log = get_logger("channelkit.leases")
_AT_ONCE = 32


@dataclass(frozen=True)
class _Mine:
    revision: int
    epoch: int
    generation: int
    inherited_at: float | None
    """Boottime of a takeover from a dead holder, whose last send may still be out."""


class Leases:
    """This replica's leases of one channel. `held` answers by the local deadline, without asking anybody."""

    def __init__(self, bus: Bus, channel: Channel, members: Members) -> None:
        self._bus, self._members = bus, members
        self._bucket = Bucket(bus, subjects.bucket("leases", channel), Lease)
        self._mine: dict[str, _Mine] = {}
        self._known: dict[str, tuple[Lease, int]] = {}
        self._at_once = asyncio.Semaphore(_AT_ONCE)

    def held(self, account_id: str) -> int | None:
        """Return the lease's epoch, or None: not ours, or we may already have been taken for dead."""
        mine = self._mine.get(account_id)
        if mine is None or mine.generation != self._members.generation or not self._members.living():
            return None
        return mine.epoch

    def accounts(self) -> list[str]:
        """Return the accounts acquired and not yet seen lost; `held` says whether they may be acted upon."""
        return [a for a in self._mine if not a.startswith("_")]

    def inherited_at(self, account_id: str) -> float | None:
        """Return when (boottime) the account was taken over from a dead replica, None where nothing can be out."""
        mine = self._mine.get(account_id)
        return mine.inherited_at if mine else None

    def seen(self, account_id: str, lease: Lease | None, revision: int) -> None:
        """Take note of what the bucket's watch says."""
        mine = self._mine.get(account_id)
        if mine and (revision > mine.revision if lease is None else self._took_over(lease, mine)):
            del self._mine[account_id]
        if lease is None:
            self._known.pop(account_id, None)
        else:
            self._known[account_id] = (lease, revision)

    def _took_over(self, lease: Lease, mine: _Mine) -> bool:
        """By the epoch: a bucket made anew counts its revisions from 1."""
        return lease.replica != self._members.replica and lease.epoch > mine.epoch

    def known(self) -> list[str]:
        """Return every key of the bucket, as far as its watch has said."""
        return list(self._known)

    async def affirm(self) -> None:
        """After a lapsed heartbeat: take again what nobody took meanwhile, and forget the rest."""
        stale = [a for a, m in self._mine.items() if m.generation != self._members.generation]
        await asyncio.gather(*(self._affirm(a) for a in stale))

    async def _affirm(self, account_id: str) -> None:
        mine = self._mine[account_id]
        if not await self._take(account_id, mine.revision, mine.epoch, inherited_at=mine.inherited_at):
            self._mine.pop(account_id, None)

    async def acquire(self, wanted: Iterable[str]) -> list[str]:
        """Take free accounts up to the fair share and return them. Raises nothing: what failed is tried next time."""
        wanted = list(wanted)
        leases = {a: lease for a, (lease, _) in self._known.items()}
        room = self.share(len(wanted)) - len(self.accounts())
        free = [a for a in free_accounts(wanted, leases, self._others()) if a not in self._mine]
        taken = await asyncio.gather(*(self.acquire_one(a) for a in free[: max(room, 0)]))
        return [a for a, won in zip(free, taken, strict=False) if won]

    async def acquire_one(self, account_id: str) -> bool:
        """Take an account if nobody living holds it; return whether it is ours now."""
        if self.held(account_id) is not None:
            return True
        async with self._at_once:
            try:
                entry = await self._bucket.get(account_id)
                lease, revision = entry or (None, 0)
                dead = lease is not None and lease.replica not in (FREE, self._members.replica)
                if lease is not None and dead and await self._members.is_alive(lease.replica):
                    return False
            except Unavailable:
                return False
            epoch = lease.epoch if lease else _first_epoch()
            return await self._take(account_id, revision, epoch, inherited_at=boottime() if dead else None)

    async def _take(self, account_id: str, revision: int, epoch: int, *, inherited_at: float | None) -> bool:
        if not self._members.living():
            return False
        lease = Lease(replica=self._members.replica, epoch=epoch + 1, since=utcnow())
        generation = self._members.generation
        try:
            if revision:
                new = await self._bucket.update(account_id, lease, revision)
            else:
                new = await self._bucket.create(account_id, lease)
        except (Conflict, Unavailable) as error:
            _log.info("lease not taken", account=account_id, error=str(error))
            return False
        self._mine[account_id] = _Mine(new, lease.epoch, generation, inherited_at)
        return True

    def share(self, accounts: int) -> int:
        """Return how many of so many accounts this replica should hold."""
        alive = self._members.alive()
        me = alive.get(self._members.replica)
        return fair_share(accounts, me.max_sessions, [m.max_sessions for m in alive.values()]) if me else 0

    def too_many(self, wanted: Collection[str]) -> list[str]:
        """Return which of the wanted accounts to hand over, being beyond the fair share."""
        return surplus((a for a in self.accounts() if a in wanted), self.share(len(wanted)))

    async def release(self, account_id: str) -> None:
        """Give an account back, its epoch kept, so that another takes it without waiting. Raises nothing."""
        mine = self._mine.pop(account_id, None)
        if mine is None:
            return
        try:
            await self._bucket.update(account_id, Lease(replica=FREE, epoch=mine.epoch, since=utcnow()), mine.revision)
        except (Conflict, Unavailable) as error:
            _log.info("lease not released", account=account_id, error=str(error))

    def _others(self) -> dict[str, Heartbeat]:
        return {name: beat for name, beat in self._members.alive().items() if name != self._members.replica}

    async def forget(self, account_id: str) -> None:
        """Remove the lease of an account that is gone. Raises Unavailable."""
        self._mine.pop(account_id, None)
        await self._bucket.delete(account_id)


def _first_epoch() -> int:
    """Return where a new lease's epochs begin: in milliseconds, so above whatever restored cursors and lanes were written with."""
    return int(utcnow().timestamp() * 1_000)
