"""Desired state into KV: whatever is behind is projected, at once when woken and every few seconds anyway.

A crash between the store and the bus therefore heals, and an older version never replaces a newer one.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

from contracts import subjects
from contracts.channels import EXTRACTORS, Channel
from contracts.state import ALL, DesiredAccount, WorkerSwitch
from servicekit.bus import Bus
from servicekit.errors import Conflict, KurirError, Permanent, Unavailable
from servicekit.kv import Bucket
from servicekit.logs import get_logger

from accounts.domain import Account
from accounts.ports import AccountStore, Query
from accounts.switch import SwitchStore
from accounts.waking import repeat

PAGE = 200
_log = get_logger("accounts.projection")


class Projection:
    """Writes `accounts_<channel>`. Safe to run in every replica at once."""

    def __init__(self, bus: Bus, store: AccountStore, switch: SwitchStore, channels: tuple[Channel, ...]) -> None:
        """*channels*: those whose buckets exist; extractors have none."""
        self._bus, self._store, self._switch = bus, store, switch
        self._channels = [c for c in channels if c not in EXTRACTORS]
        self.wake = asyncio.Event()

    async def run(self, every_seconds: float) -> None:
        """Project what is behind until cancelled."""
        await repeat(partial(_tolerant, self.catch_up), self.wake, every_seconds, "projection")

    async def run_full(self, every_seconds: float) -> None:
        """Compare everything, at the start, after each reconnect and now and then: stores are restored, buckets lost."""
        again = asyncio.Event()

        async def reconnected() -> None:
            again.set()

        self._bus.on_reconnect(reconnected)
        while True:
            again.clear()
            done = await _tolerant(self.everything)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(again.wait(), every_seconds if done else 1.0)

    async def catch_up(self) -> None:
        """Project each account that is behind; one that cannot be waits without holding up the others."""
        self._bus.require()
        await self.switch()
        for account in await self._store.behind(PAGE):
            await self._one_by_one(account)

    async def everything(self) -> None:
        """Compare every account with its bucket, and what the buckets hold with the accounts."""
        self._bus.require()
        await self.switch()
        async for account in self._all():
            await self._one_by_one(account)
        for channel in self._channels:
            await _tolerant(partial(self._orphans, channel))

    async def _one_by_one(self, account: Account) -> None:
        """Project an account; only NATS or the store being away stops the others. Raises Unavailable."""
        try:
            await self.project(account)
        except Unavailable:
            raise
        except KurirError as error:
            _log.warning("not projected, tried again later", account=account.id, error=str(error))

    async def project(self, account: Account) -> bool:
        """Write one account's desired state unless the bucket has it already, and note that; return whether it wrote."""
        wrote = await self._write(account) if account.channel in self._channels else False
        await self._store.mark_projected(account.id, account.version)
        return wrote

    async def switch(self) -> None:
        """Write the worker switch for all into each channel's bucket."""
        wanted = await self._switch.get()
        for channel in self._channels:
            bucket = Bucket(self._bus, subjects.bucket("accounts", channel), WorkerSwitch)
            have = await bucket.get(ALL)
            if have is None:
                await bucket.create(ALL, wanted)
            elif have.value.version < wanted.version:
                await bucket.update(ALL, wanted, have.revision)
            elif have.value != wanted:
                await self._switch.overtake(have.value.version)

    async def remove(self, account: Account) -> None:
        """Remove an account that is gone, if its key is there."""
        if account.channel in self._channels:
            bucket = self._bucket(account.channel)
            entry = await bucket.get(account.id)
            if entry is not None:
                await bucket.delete(account.id, entry.revision)

    async def _write(self, account: Account) -> bool:
        bucket, wanted = self._bucket(account.channel), account.desired
        try:
            have = await bucket.get(account.id)
        except Permanent:  # nobody can read what is there, and it is ours to say what should be
            await bucket.put(account.id, wanted)
            return True
        if have is None:
            await self._create(bucket, wanted)
        elif have.value.version < wanted.version:
            await bucket.update(account.id, wanted, have.revision)
        elif have.value.version > wanted.version:
            await self._overtaken(account.id, have.value.version)
            return False
        else:
            return False
        return True

    async def _create(self, bucket: Bucket[DesiredAccount], wanted: DesiredAccount) -> None:
        """Write a key that is missing, and take it back where the account's deletion finished meanwhile."""
        revision = await bucket.create(wanted.account_id, wanted)
        if not await self._store.existing([wanted.account_id]):
            await bucket.delete(wanted.account_id, revision)

    async def _overtaken(self, account_id: str, version: int) -> None:
        """The bucket is ahead: our reading was old, or the store was restored from a backup; then the store decides."""
        current = await self._store.get(account_id)
        if current is not None and current.version < version:
            restored = current.model_copy(update={"version": version + 1, "login_version": version + 1})
            _log.warning("the store is older than the bus: it was restored", account=account_id, version=version)
            await self._store.replace(current, restored, [])
            self.wake.set()

    async def _orphans(self, channel: Channel) -> None:
        """An account that only the bus knows is switched off (its session is kept), one that was deleted goes."""
        bucket = self._bucket(channel)
        keys = [key for key in await bucket.keys() if key != ALL]
        for account_id in set(keys) - await self._store.existing(keys):
            if await self._store.tombstone(account_id):
                await bucket.delete(account_id)
                continue
            entry = await bucket.get(account_id)
            if entry is not None and entry.value.status == "active":
                _log.error("an account is on the bus but not in the store: switched off", account=account_id)
                off = entry.value.model_copy(update={"status": "inactive", "version": entry.value.version + 1})
                await bucket.update(account_id, off, entry.revision)

    async def _all(self) -> AsyncIterator[Account]:
        after = None
        while page := await self._store.page(Query(limit=PAGE, after=after)):
            for account in page:
                yield account
            after = page[-1].order

    def _bucket(self, channel: Channel) -> Bucket[DesiredAccount]:
        return Bucket(self._bus, subjects.bucket("accounts", channel), DesiredAccount)


async def _tolerant(work: Callable[[], Awaitable[object]]) -> bool:
    """Do it; NATS or the store being away, or another replica being first, is normal: it is tried again."""
    try:
        await work()
    except (Unavailable, Conflict) as error:
        _log.info("projection waits", error=str(error))
        return False
    except KurirError as error:
        _log.error("cannot project", error=str(error))
        return False
    return True
