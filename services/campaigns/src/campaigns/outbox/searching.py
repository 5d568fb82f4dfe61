"""Finds a page of rows, newest first, reading as little as the stores allow (see zones)."""

import asyncio
import heapq
from collections.abc import Mapping
from typing import Any

from campaigns import paging
from campaigns.context import Context
from campaigns.outbox.rows import ROWS, Row
from campaigns.outbox.zones import Asked, Zone, holding

WINDOW = 1_000
MOST_IN_A_ROW = 6_000
"""Places read one after the other before the slices are asked: half a hundred milliseconds of the slowest store."""
AT_ONCE = 4
NAMED_WINDOWS = 2
_SORT = [("seq", -1)]
_END = "\U0010ffff"


async def newest(ctx: Context, where: Mapping[str, Any], asked: Asked, below: int, count: int) -> list[Row]:
    """Return up to *count* rows under place *below*."""
    found, below = await _along(ctx, where, below, count)
    if len(found) >= count or below <= 0:
        return found
    zones = await holding(ctx, asked, below)
    if zones and not found and zones[0].high < below - 1:  # nothing between here and there
        found, below = await _along(ctx, where, zones[0].high + 1, count)
        if len(found) >= count:
            return found
        zones = await holding(ctx, asked, below)
    return await _across(ctx, where, [one._replace(below=below) for one in zones], found, count)


async def _along(ctx: Context, where: Mapping[str, Any], below: int, count: int) -> tuple[list[Row], int]:
    """Read downwards while a page is likely to be filled soon; return what was found, and where it stopped.

    A window without anything is the last: the slices know where there is more.
    """
    found: list[Row] = []
    window, left = WINDOW, MOST_IN_A_ROW + WINDOW
    while below > 0 and len(found) < count and window <= left:
        low = max(0, below - window)
        rest = count - len(found)
        part = await ctx.db[ROWS].find_list({"seq": {"$gte": low, "$lt": below}, **where}, sort=_SORT, limit=rest)
        found, below, left = found + part, low, left - window
        if not part:
            break
        likely = window * (count - len(found)) // max(1, len(part))
        window = max(WINDOW, likely + likely // 2)
    return found, below


async def _across(ctx: Context, where: Mapping[str, Any], zones: list[Zone], found: list[Row], count: int) -> list[Row]:
    """Read slice by slice, the newest first, until none of the rest can hold a newer row than the page's last."""
    while zones and not (len(found) >= count and found[count - 1]["seq"] >= zones[0].high):
        part, zones = _some(zones, count)
        queries: list[dict[str, Any]] = [{"slice": z.slice} for z in part if z.places is None and z.high < z.below]
        cut = [z for z in part if z.places is None and z.high >= z.below]
        noted = [seq for z in part for seq in z.places or ()]
        places = sorted(noted + await _places(ctx, where, cut, count), reverse=True)
        queries += [{"seq": {"$in": places[n : n + 500]}} for n in range(0, len(places), 500)]
        read = (ctx.db[ROWS].find_list({**where, **query}, sort=_SORT, limit=count) for query in queries)
        for rows in await asyncio.gather(*read):
            found += rows
        found.sort(key=lambda row: -int(row["seq"]))
        found = found[:count]
    return found


async def _places(ctx: Context, where: Mapping[str, Any], zones: list[Zone], count: int) -> list[int]:
    """Return the newest places in slices that lie partly above the page.

    The bound is kept here: beside a slice the embedded stores take a range of places for the better index.
    """
    found: list[int] = []
    for one in zones:
        rows = ctx.db[ROWS].find({**where, "slice": one.slice}, {"seq": 1, "_id": 0})
        found += heapq.nlargest(count, [int(row["seq"]) async for row in rows if row["seq"] < one.below])
    return found


def _some(zones: list[Zone], count: int) -> tuple[list[Zone], list[Zone]]:
    """Return the next slices to read, a few whole ones or places enough for a page, and the rest."""
    whole = places = n = 0
    for n, one in enumerate(zones, 1):  # noqa: B007  # the count is what is wanted
        whole, places = whole + (one.places is None), places + len(one.places or ())
        if whole >= AT_ONCE or places >= 2 * count:
            break
    return zones[:n], zones[n:]


async def named(ctx: Context, where: Mapping[str, Any], text: str, below: int, count: int) -> list[Row]:
    """Return up to *count* rows whose recipient's address or name begins with *text*, under place *below*.

    A short text that many have fills a page within a few thousand places; what does not is rare, and the indexes on
    address and name find it.
    """
    found: list[Row] = []
    for _ in range(0 if "@" in text else NAMED_WINDOWS):
        found += await _beginning(ctx, where, text, below, count - len(found))
        below -= WINDOW
        if len(found) >= count or below <= 0:
            return found
    ranges = [{name: {"$gte": text, "$lt": text + _END}} for name in ("key", "name_key")]
    rest = {**where, "seq": {"$lt": below}}
    read = (ctx.db[ROWS].find_list({**one, **rest}, sort=_SORT, limit=count) for one in ranges)
    more = {str(row["_id"]): row for rows in await asyncio.gather(*read) for row in rows}
    return (found + sorted(more.values(), key=lambda row: -int(row["seq"])))[:count]


async def _beginning(ctx: Context, where: Mapping[str, Any], text: str, below: int, count: int) -> list[Row]:
    """Return those of a window; compared here, since a store looks for indexes in an `$or`, and takes the wide ones."""
    window = {"seq": {"$gte": max(0, below - WINDOW), "$lt": below}}
    rows = ctx.db[ROWS].find({**window, **where}, {"seq": 1, "key": 1, "name_key": 1, "_id": 0})
    seqs = [
        int(row["seq"])
        async for row in rows
        if row["key"].startswith(text) or (row.get("name_key") or "").startswith(text)
    ]
    wanted = heapq.nlargest(count, seqs)
    return await ctx.db[ROWS].find_list({"seq": {"$in": wanted}}, sort=_SORT, limit=count) if wanted else []


async def top(ctx: Context) -> int:
    """Return a place above every row."""
    return await paging.top(ctx.db[ROWS], "seq") + 1
