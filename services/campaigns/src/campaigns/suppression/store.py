"""Suppressions in both places: the bus, which every lane asks, and the store, which people see."""

from collections.abc import AsyncIterator, Iterable
from typing import Any

from contracts.state import SuppressionEntry
from servicekit.errors import Conflict
from servicekit.kv import Bucket
from servicekit.mongo import ASCENDING, IndexModel, ensure_indexes

from campaigns.context import Context

Document = dict[str, Any]
BUCKET = "suppressions"
_STRENGTH = ("manual", "unsubscribed", "complained", "bounced", "blocked")


async def prepare(ctx: Context) -> None:
    """Create the indexes."""
    await ensure_indexes(ctx.db["suppressions"], [IndexModel([(f, ASCENDING)]) for f in ("seq", "address")])


def bucket(ctx: Context) -> Bucket[SuppressionEntry]:
    """Return the bucket all channels read."""
    return Bucket(ctx.bus, BUCKET, SuppressionEntry)


def stronger(new: str, old: str) -> bool:
    """Return whether *new* forbids what *old* does not: who blocked us and then unsubscribes stays blocked."""
    return _STRENGTH.index(new) > _STRENGTH.index(old)


async def project(ctx: Context, key: str, entry: SuppressionEntry) -> None:
    """Write the entry on the bus unless one at least as strong is there. Raises Unavailable."""
    kv = bucket(ctx)
    for _ in range(5):
        have = await kv.get(key)
        if have is not None and not stronger(entry.reason, have.value.reason):
            return
        try:
            if have is None:
                await kv.create(key, entry)
            else:
                await kv.update(key, entry, have.revision)
        except Conflict:
            continue  # written by somebody else at this moment: look again
        return
    raise Conflict("the suppression is being changed by many at once")


async def unproject(ctx: Context, keys: Iterable[str]) -> None:
    """Remove entries from the bus. Raises Unavailable."""
    kv = bucket(ctx)
    for key in keys:
        await kv.purge(key)


async def find(ctx: Context, keys: Iterable[str]) -> list[Document]:
    """Return what the store holds under these keys."""
    wanted = list(keys)
    return await ctx.db["suppressions"].find_list({"_id": {"$in": wanted}}, limit=max(1, len(wanted)))


async def every(ctx: Context) -> AsyncIterator[Document]:
    """Yield all suppressions, oldest first, in flat memory."""
    collection = ctx.db["suppressions"]
    last = await collection.find_one({"seq": {"$gte": 0}}, {"seq": 1}, sort=[("seq", -1)])
    top = int(last["seq"]) if last else 0
    for low in range(0, top + 1, 1_000):
        span = {"seq": {"$gte": low, "$lt": low + 1_000}}
        for one in await collection.find_list(span, sort=[("seq", 1)], limit=2_000):
            yield one
