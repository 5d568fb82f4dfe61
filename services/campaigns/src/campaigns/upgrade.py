"""What an older version stored is brought up to date once, beside the running service.

Every step changes only what still has the older form, so it may be broken off anywhere, repeated, and done by two of us
at once. Until then old documents are found and changed as well, only slower, and rows not yet by their recipient's name.
"""

from collections.abc import AsyncIterator

from servicekit.clock import utcnow
from servicekit.mongo import Document, UpdateOne, drop_indexes

from campaigns import paging
from campaigns.context import Context
from campaigns.inbox import domain
from campaigns.outbox.rows import ROWS, name_key
from campaigns.outbox.zones import SLICES

UPGRADES = "upgrades"
LISTS = "lists-by-zones"
WINDOW = 1_000
"""Documents looked at in one go."""
NO_LONGER = {ROWS: ("batch_1", "find_1"), "conversations": ("search_1",)}
"""Indexes that an older version made; each costs every write."""
FEW_ROWS = 1_000


async def run(ctx: Context) -> None:
    """Do what has not been done in this store, and note it; a background task that ends."""
    if await ctx.db[UPGRADES].find_one({"_id": LISTS}):
        return
    await conversations(ctx)
    rows = await rows_by_name(ctx)
    await slices(ctx)
    await indexes(ctx)
    await ctx.db[UPGRADES].update_one({"_id": LISTS}, {"$setOnInsert": {"at": utcnow()}}, upsert=True)
    if rows:
        ctx.log.info("the outbox of an older version can be searched by name", rows=rows)


async def conversations(ctx: Context) -> None:
    """Give conversations the unindexed time that guards their newest line, and the beginnings they are found by."""
    talks = ctx.db["conversations"]
    async for some in _some(talks.find({"shown_ms": None}, {"last_ms": 1})):
        await talks.bulk_write(
            [UpdateOne({"_id": c["_id"], "shown_ms": None}, {"$set": {"shown_ms": c["last_ms"]}}) for c in some]
        )
    async for some in _some(talks.find({"begins": None}, {"search": 1})):
        await talks.bulk_write(
            [UpdateOne({"_id": c["_id"]}, {"$set": {"begins": domain.begins(c["search"])}}) for c in some]
        )


async def rows_by_name(ctx: Context) -> int:
    """Give rows one key of their recipient's name instead of a list of keys, the newest first; return how many had one."""
    below, changed = await paging.top(ctx.db[ROWS], "seq") + 1, 0
    while below > 0:
        window = {"seq": {"$gte": below - WINDOW, "$lt": below}}
        old = [row async for row in ctx.db[ROWS].find(window, {"to.name": 1, "find": 1}) if "find" in row]
        if old:
            await ctx.db[ROWS].bulk_write([_renamed(row) for row in old])
        below, changed = below - WINDOW, changed + len(old)
    return changed


def _renamed(row: Document) -> UpdateOne:
    return UpdateOne(
        {"_id": row["_id"]}, {"$set": {"name_key": name_key(row["to"].get("name"))}, "$unset": {"find": ""}}
    )


async def slices(ctx: Context) -> None:
    """Have slices counted again that do not say where their rows stand."""
    await ctx.db[SLICES].update_many({"high": None, "dirty": False}, {"$set": {"dirty": True}, "$inc": {"gen": 1}})


async def indexes(ctx: Context) -> None:
    """Drop indexes that nothing is found by any more.

    secantusd-py (the one that names no storage engine) answers nobody while it drops, 25 s for 10,000 rows: there an
    index over more than a few rows stays.
    """
    if "storageEngines" in await ctx.db.build_info() or await paging.top(ctx.db[ROWS], "seq") <= FEW_ROWS:
        for collection, names in NO_LONGER.items():
            await drop_indexes(ctx.db[collection], names)


async def _some(found: AsyncIterator[Document]) -> AsyncIterator[list[Document]]:
    part: list[Document] = []
    async for one in found:
        part.append(one)
        if len(part) == WINDOW:
            yield part
            part = []
    if part:
        yield part
