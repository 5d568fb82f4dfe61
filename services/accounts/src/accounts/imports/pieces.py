"""Where imported sessions lie: pieces and wholes, sealed, in the object store `vault`; nothing unsealed at rest."""

import asyncio
import hashlib
from collections.abc import Set as AbstractSet
from datetime import timedelta

from contracts import sealing
from servicekit.bus import Bus
from servicekit.clock import utcnow
from servicekit.errors import NotFound
from servicekit.objects import VAULT_BYTES, ObjectBucket
from servicekit.secrets import Sealer

from accounts.imports.domain import Import

_OURS = "kurir-import"
"""Object header: the channels collect their own sessions in this store, accounts the imported ones."""


class Pieces:
    """Seals with each channel's own key; a sealed text names account, import and piece, so none can be swapped."""

    def __init__(self, bus: Bus, sealer: Sealer) -> None:
        """*sealer*: with the master keys, of which each channel's are derived."""
        self._objects, self._sealer = ObjectBucket(bus, "vault", max_bytes=VAULT_BYTES), sealer

    async def put(self, of: Import, number: int, data: bytes) -> str:
        """Keep a piece and return its object. Raises Unavailable."""
        sealed = self._sealer.for_channel(of.channel).seal(data, _context(of, number))
        return await self._objects.put(sealed.encode(), {_OURS: of.id})

    async def get(self, of: Import, number: int) -> bytes:
        """Return a piece, opened. Raises NotFound, SealError, Unavailable."""
        sealed = await self._objects.get(of.chunks[number].object)
        return self._sealer.for_channel(of.channel).open(sealed.decode(), _context(of, number))

    async def hand_over(self, of: Import, data: bytes) -> str:
        """Keep the whole, sealed for the channel's service, and return its object. Raises Unavailable."""
        sealer, context = self._sealer.for_channel(of.channel), sealing.imported(of.account_id, of.id)
        sealed = await asyncio.to_thread(sealer.seal, data, context)
        return await self._objects.put(sealed.encode(), {_OURS: of.id})

    async def has(self, object_id: str) -> bool:
        """Return whether an object is still there. Raises Unavailable."""
        try:
            await self._objects.info(object_id)
        except NotFound:
            return False
        return True

    async def remove(self, *object_ids: str | None) -> None:
        """Remove objects for good. Raises Unavailable."""
        for object_id in object_ids:
            if object_id:
                await self._objects.delete(object_id)

    async def collect(self, needed: AbstractSet[str], older_than_seconds: float) -> int:
        """Remove old objects of imports that nobody needs (a crash left them); return how many. Raises Unavailable."""
        limit = utcnow() - timedelta(seconds=older_than_seconds)
        orphans = [
            stored.id
            async for stored in self._objects.all()
            if _OURS in stored.headers and stored.id not in needed and stored.modified < limit
        ]
        await self.remove(*orphans)
        return len(orphans)


async def sha256(data: bytes) -> str:
    """Return the digest in hex, without holding up the others for a large one."""
    return (await asyncio.to_thread(hashlib.sha256, data)).hexdigest()


def _context(of: Import, number: int) -> str:
    return f"{sealing.imported(of.account_id, of.id)}/{number}"
