"""Counts are kept per slice and *set* from a count over that slice, never incremented: a redo cannot count twice."""

import asyncio
from collections.abc import Iterable
from typing import Any

from servicekit.clock import utcnow
from servicekit.mongo import Document, IndexModel, UpdateOne, ensure_indexes

from campaigns.context import Context
from campaigns.outbox import zones

SLICES = zones.SLICES
_AT_ONCE = 500


async def prepare(ctx: Context) -> None:
    """Create the indexes."""
    await ensure_indexes(ctx.db[SLICES], [IndexModel("campaign"), IndexModel("account"), IndexModel("dirty")])


async def touch(ctx: Context, slices: Iterable[str]) -> None:
    """Note that rows of these slices changed, after the change and before its message is acknowledged."""
    changes = [
        UpdateOne({"_id": name}, {"$inc": {"gen": 1}, "$set": {"dirty": True, **parts(name)}}, upsert=True)
        for name in sorted(set(slices))
    ]
    if changes:
        await ctx.db[SLICES].bulk_write(changes)


def parts(name: str) -> dict[str, Any]:
    """Return what a slice's name says."""
    campaign, account, number = name.rsplit(".", 2)
    return {"campaign": campaign, "account": account, "no": int(number)}


async def run(ctx: Context) -> None:
    """Count what changed, for ever; a background task."""
    while True:
        await refresh(ctx)
        await asyncio.sleep(ctx.settings.count_every_seconds)


async def refresh(ctx: Context) -> int:
    """Count every slice that changed and bring its campaign's counts up to date; return how many slices there were."""
    dirty = await ctx.db[SLICES].find_list({"dirty": True}, limit=_AT_ONCE)
    for one in dirty:
        await recount(ctx, one["_id"])
    campaigns = sorted({str(one["campaign"]) for one in dirty})
    for campaign in campaigns:
        await publish(ctx, campaign)
    return len(dirty)


async def recount(ctx: Context, name: str) -> dict[str, int]:
    """Count one slice and keep the result, unless it changed meanwhile (then it stays dirty)."""
    before = await ctx.db[SLICES].find_one({"_id": name}, {"gen": 1})
    found = await zones.summary(ctx, name)
    counts: dict[str, int] = found["counts"]
    kept = {**found, "dirty": False, **parts(name)}
    if before is None:
        await ctx.db[SLICES].update_one(
            {"_id": name}, {"$set": {**kept, "gen": 0}, "$inc": {"counted": 1}}, upsert=True
        )
    else:
        now = {"_id": name, "gen": before["gen"]}
        await ctx.db[SLICES].update_one(now, {"$set": kept, "$inc": {"counted": 1}})
    return counts


async def of_campaign(ctx: Context, campaign: str) -> dict[str, int]:
    """Return a campaign's counts as its slices have them."""
    return total([one async for one in ctx.db[SLICES].find({"campaign": campaign}, {"counts": 1})])


async def slices_with(ctx: Context, campaign: str, state: str, account: str | None = None) -> list[str]:
    """Return the slices that have rows in a state, or changed since they were counted: nothing is left out."""
    where = {"campaign": campaign} | ({"account": account} if account else {})
    found = ctx.db[SLICES].find(where, {f"counts.{state}": 1, "dirty": 1})
    return [str(one["_id"]) async for one in found if one.get("dirty", True) or (one.get("counts") or {}).get(state)]


async def changed(ctx: Context, campaign: str, account: str) -> list[str]:
    """Return the slices of an account that changed since they were counted."""
    found = ctx.db[SLICES].find({"campaign": campaign, "account": account, "dirty": True}, {"_id": 1})
    return [str(one["_id"]) async for one in found]


async def accounts_with(ctx: Context, campaign: str, state: str) -> set[str]:
    """Return the accounts of a campaign that have, or may have, rows in a state."""
    return {name.rsplit(".", 2)[1] for name in await slices_with(ctx, campaign, state)}


async def queued(ctx: Context, campaign: str, account: str) -> int:
    """Return how many rows of a campaign lie in an account's queue, as last counted."""
    found = ctx.db[SLICES].find({"campaign": campaign, "account": account}, {"counts.queued": 1})
    return sum([int((one.get("counts") or {}).get("queued", 0)) async for one in found])


def total(slices: Iterable[Document]) -> dict[str, int]:
    """Return the sum of the counts of slices."""
    counts: dict[str, int] = {}
    for one in slices:
        for state, n in (one.get("counts") or {}).items():
            counts[state] = counts.get(state, 0) + int(n)
    return counts


def _reading(slices: Iterable[Document]) -> int:
    """Return how many counts a reading rests on: it only rises."""
    return sum(int(one.get("counted", 0)) for one in slices)


async def publish(ctx: Context, campaign: str) -> dict[str, int]:
    """Set a campaign's counts from its slices, tell live pages, and have a dispatcher finish it if nothing is left.

    Two of us may read and write crosswise: what was read from fewer counts of slices never replaces a later reading.
    """
    slices = [one async for one in ctx.db[SLICES].find({"campaign": campaign}, {"counts": 1, "counted": 1})]
    counts, reading = total(slices), _reading(slices)
    not_later = [{"counted": {"$lte": reading}}, {"counted": None}]
    await ctx.db["campaigns"].update_one(
        {"_id": campaign, "$or": not_later}, {"$set": {"counts": counts, "counted": reading}}
    )
    if not counts.get("pending") and not counts.get("queued"):
        nearly = {"_id": campaign, "status": "processing", "kind": "campaign", "expansion.phase": "done"}
        await ctx.db["campaigns"].update_one(nearly, {"$min": {"due_at": utcnow()}, "$inc": {"touched": 1}})
        ctx.wake.set()
    await ctx.hub.publish("campaign", [campaign])
    return counts
