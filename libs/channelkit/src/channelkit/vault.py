"""Sealed sessions: immutable objects, and a pointer that moves from one to the next by compare-and-set."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from contracts import sealing, subjects
from contracts.channels import Channel
from contracts.state import ImportedSession, VaultPointer
from servicekit.bus import Bus
from servicekit.clock import utcnow
from servicekit.errors import NotFound
from servicekit.kv import Bucket
from servicekit.objects import VAULT_BYTES, ObjectBucket
from servicekit.secrets import Sealer

_SUFFIX = ".vault"
_CHANNEL = "kurir-channel"
"""Object header: all channels share one store, each collects its own."""


class Vault:
    """The sessions of one channel's accounts, sealed with the channel's key; a sealed text names its account."""

    def __init__(self, bus: Bus, channel: Channel, sealer: Sealer) -> None:
        self._channel, self._sealer = channel, sealer
        self._objects = ObjectBucket(bus, "vault", max_bytes=VAULT_BYTES)
        self._pointers = Bucket(bus, subjects.bucket("cursors", channel), VaultPointer)

    async def load(self, account_id: str) -> bytes | None:
        """Return the session last saved, None where there is none. Raises SealError, Unavailable."""
        pointer = await self._pointers.get(pointer_key(account_id))
        if pointer is None:
            return None
        try:
            sealed = await self._objects.get(pointer.value.object)
        except NotFound:
            return None
        return await asyncio.to_thread(self._sealer.open, sealed.decode(), _context(account_id))

    async def save(self, account_id: str, data: bytes, login_version: int = 0) -> None:
        """Store a new object, then point to it, then drop the old one. Raises Conflict where another saved first.

        *login_version*: of the desired state the session was opened for; imports up to it are never offered again.
        """
        key = pointer_key(account_id)
        last = await self._pointers.get(key)
        sealed = (await asyncio.to_thread(self._sealer.seal, data, _context(account_id))).encode()
        name = await self._objects.put(sealed, {_CHANNEL: self._channel})
        pointer = VaultPointer(object=name, at=utcnow(), login_version=login_version)
        if last is None:
            await self._pointers.create(key, pointer)
            return
        await self._pointers.update(key, pointer, last.revision)
        await self._objects.delete(last.value.object)

    async def load_import(self, account_id: str, given: ImportedSession) -> bytes | None:
        """Return an imported session, None where a later one was saved. Raises SealError, Unavailable.

        Versions decide and not times: the session that makes way for an import is saved once more as it closes.
        """
        pointer = await self._pointers.get(pointer_key(account_id))
        if pointer is not None and pointer.value.login_version >= given.login_version:
            return None
        try:
            sealed = await self._objects.get(given.object)
        except NotFound:
            return None
        return await asyncio.to_thread(self._sealer.open, sealed.decode(), sealing.imported(account_id, given.id))

    async def drop_import(self, given: ImportedSession) -> None:
        """Remove an imported session that is consumed; nothing happens where it is gone. Raises Unavailable."""
        await self._objects.delete(given.object)

    async def purge(self, account_id: str) -> None:
        """Remove the account's session for good. Raises Unavailable."""
        pointer = await self._pointers.get(pointer_key(account_id))
        if pointer is not None:
            await self._objects.delete(pointer.value.object)
            await self._pointers.purge(pointer_key(account_id))

    async def collect(self, exists: Callable[[str], Awaitable[bool]], older_than_seconds: float) -> int:
        """Remove old sessions of accounts that are gone, and old objects nobody points to; return how many."""
        limit, kept, removed = utcnow() - timedelta(seconds=older_than_seconds), set[str](), 0
        for key in await self._pointers.keys_like(f"*{_SUFFIX}"):
            pointer = await self._pointers.get(key)
            if pointer and pointer.value.at < limit and not await exists(key.removesuffix(_SUFFIX)):
                await self.purge(key.removesuffix(_SUFFIX))
                removed += 1
            elif pointer:
                kept.add(pointer.value.object)
        orphans = [
            stored.id
            async for stored in self._objects.all()
            if stored.headers.get(_CHANNEL) == self._channel and stored.id not in kept and stored.modified < limit
        ]
        for name in orphans:
            await self._objects.delete(name)
        return removed + len(orphans)


def pointer_key(account_id: str) -> str:
    """Return the pointer's key, beside the account's cursor."""
    return f"{account_id}{_SUFFIX}"


def _context(account_id: str) -> str:
    return f"session/{account_id}"
