"""Pages by ranges of one indexed key, newest first: no store here stops a scan at `limit`, so the range is what is read."""

from collections.abc import Mapping
from typing import Any

from servicekit.mongo import Collection
from servicekit.pagination import Page, decode_cursor, encode_cursor

FIRST_WINDOW, GROWTH = 1_000, 8


async def newest_first(
    collection: Collection,
    where: Mapping[str, Any],
    *,
    key: str,
    cursor: str | None,
    limit: int,
    projection: Any = None,
    window: int = FIRST_WINDOW,
) -> Page[dict[str, Any]]:
    """Return documents by falling *key* (an indexed integer, the same one seldom twice), and the cursor behind them.

    Looks at a window of the key at a time, eight times wider with each one that did not fill the page.
    """
    below = decode_cursor(cursor)
    if below is None:
        top = await collection.find_one({key: {"$gte": 0}}, {key: 1}, sort=[(key, -1)])
        below = int(top[key]) + 1 if top else 0
    found: list[dict[str, Any]] = []
    high = int(below)
    while high > 0 and len(found) <= limit:
        low = max(0, high - window)
        window *= GROWTH
        found += await collection.find_list(
            {**where, key: {"$gte": low, "$lt": high}}, projection, sort=[(key, -1)], limit=limit + 1 - len(found)
        )
        high = low
    more = len(found) > limit
    items = found[:limit]
    return Page[dict[str, Any]](items=items, next_cursor=encode_cursor(int(items[-1][key])) if more else None)
