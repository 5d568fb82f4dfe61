"""Pages by ranges of one indexed key, newest first: no store here stops a scan at `limit`, so the range is what is read."""

from collections.abc import Mapping
from typing import Any

from servicekit.errors import Invalid
from servicekit.mongo import Collection
from servicekit.pagination import Page, decode_cursor, encode_cursor

FIRST_WINDOW, GROWTH = 1_000, 8
EVERYTHING = 1 << 62
"""As a window: the filter is narrow already, read it in one go."""


async def newest_first(
    collection: Collection,
    where: Mapping[str, Any],
    *,
    key: str,
    cursor: str | None,
    limit: int,
    window: int = FIRST_WINDOW,
    highest: int | None = None,
) -> Page[dict[str, Any]]:
    """Return documents by falling *key* (a positive integer) and `_id`, and the cursor behind them.

    Looks at a window of the key at a time, eight times wider with each one that did not fill the page. *key* is indexed,
    numbered by the counter of the collection's name, or *highest* given: a number no key exceeds.
    """
    high, last_id = _behind(cursor) or (highest if highest is not None else await top(collection, key), None)
    found: list[dict[str, Any]] = []
    while high >= 0 and len(found) <= limit:
        low = max(0, high - window)
        conditions = [where, {key: {"$gte": low, "$lte": high}}]
        if last_id is not None:
            conditions.append({"$or": [{key: {"$lt": high}}, {"_id": {"$lt": last_id}}]})
        found += await collection.find_list(
            _all(conditions), sort=[(key, -1), ("_id", -1)], limit=limit + 1 - len(found)
        )
        high, last_id, window = low - 1, None, window * GROWTH
    more, items = len(found) > limit, found[:limit]
    behind = encode_cursor([int(items[-1][key]), items[-1]["_id"]]) if more else None
    return Page[dict[str, Any]](items=items, next_cursor=behind)


def _behind(cursor: str | None) -> tuple[int, str | None] | None:
    match decode_cursor(cursor):
        case None:
            return None
        case [int(number), str(last_id)] if 0 <= number <= EVERYTHING:
            return number, last_id
    raise Invalid({"cursor": "is not one of ours"})


def _all(conditions: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return one filter, flat where it can be: stores choose their index by the fields at the top."""
    flat: dict[str, Any] = {}
    for condition in conditions:
        for name, value in condition.items():
            if name in flat:
                flat.setdefault("$and", []).append({name: value})
            else:
                flat[name] = value
    return flat


async def top(collection: Collection, key: str) -> int:
    """Return a number no *key* exceeds, -1 where there is nothing.

    It is what was reserved last: the embedded stores find the newest document only by reading every key.
    """
    counter = await Collection(collection.raw.database["counters"]).find_one({"_id": collection.name})
    if counter:
        return int(counter["n"])
    newest = await collection.find_one({key: {"$gte": 0}}, {key: 1}, sort=[(key, -1)])
    return int(newest[key]) if newest else -1
