"""`delivered` and `read`: facts about our rows, named by us or by the platform's own ids (chat platforms know no rows).

A row of several bubbles counts when each of its ids was heard of: what was heard of some is kept on the row until then.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from contracts.inbox import Delivered, Read
from servicekit.clock import utcnow
from servicekit.mongo import UpdateMany, UpdateOne

from campaigns.context import Context
from campaigns.outbox import counts
from campaigns.outbox.again import Later
from campaigns.outbox.rows import ROWS, Row

LOWER = {"delivered": ("sent",), "read": ("sent", "delivered")}
"""The states each of them replaces."""
KEYS_AT_ONCE = 500
_FIELDS = dict.fromkeys(("account", "key", "state", "wanted", "slice", "platform_ids"), 1)
Peer = tuple[str, str]
"""An account, and the key of whom it wrote to."""


async def apply(ctx: Context, receipts: Sequence[Delivered], later: Later) -> list[str]:
    """Write what receipts say and return the rows they are about. One that may be early is offered to *later*."""
    named = [one for one in receipts if one.row is not None]
    rows = [*await _by_row(ctx, named), *await _by_peer(ctx, [one for one in receipts if one.row is None], later)]
    if not rows:
        return []
    ids = [str(row["_id"]) for row in rows]
    await counts.touch(ctx, {str(row["slice"]) for row in rows})
    await ctx.hub.publish("row", ids)
    return ids


async def _by_row(ctx: Context, receipts: Sequence[Delivered]) -> list[Row]:
    """A receipt heard before its row's `sent` counts as one."""
    operations: list[UpdateMany | UpdateOne] = []
    now = utcnow()
    for one in receipts:
        where, done = {"_id": one.row, "wanted": one.wanted}, {"state": _level(one), "updated_at": now}
        first = {**done, "sent_at": one.at, "reason": "", "detail": ""}
        operations.append(UpdateOne({**where, "state": {"$in": ["queued", "unknown"]}}, {"$set": first}))
        operations.append(UpdateOne({**where, "state": {"$in": list(LOWER[_level(one)])}}, {"$set": done}))
    if not operations:
        return []
    await ctx.db[ROWS].bulk_write(operations)
    ids = [one.row for one in receipts]
    return [row async for row in ctx.db[ROWS].find({"_id": {"$in": ids}}, {"slice": 1})]


def _level(receipt: Delivered) -> str:
    return "read" if isinstance(receipt, Read) else "delivered"


@dataclass
class _Heard:
    """What receipts of one kind name of one peer's messages."""

    ids: set[str] = field(default_factory=set)
    up_to: int = -1

    def of(self, platform_ids: Collection[str]) -> set[str]:
        """Return which of the ids were named."""
        return {one for one in platform_ids if one in self.ids or 0 <= _number(one) <= self.up_to}


def _number(platform_id: str) -> int:
    return int(platform_id) if platform_id.isascii() and platform_id.isdigit() else -1


async def _by_peer(ctx: Context, receipts: Sequence[Delivered], later: Later) -> list[Row]:
    told: dict[Peer, list[Delivered]] = defaultdict(list)
    for one in receipts:
        told[one.account_id, (one.conversation or "").strip().casefold()].append(one)
    rows: dict[Peer, list[Row]] = defaultdict(list)
    keys = sorted({key for _, key in told})
    for n in range(0, len(keys), KEYS_AT_ONCE):
        where = {"key": {"$in": keys[n : n + KEYS_AT_ONCE]}, "state": {"$in": ["queued", "sent", "delivered"]}}
        async for row in ctx.db[ROWS].find(where, _FIELDS):
            rows[str(row["account"]), str(row["key"])].append(row)
    heard = [(row, _sorted_out(told[peer])) for peer in told for row in rows[peer] if row.get("platform_ids")]
    for peer, some in told.items():
        if any(row["state"] == "queued" for row in rows[peer]):
            _offer(some, rows[peer], later)
    return await _write(ctx, heard)


def _sorted_out(receipts: Sequence[Delivered]) -> dict[str, _Heard]:
    """Return what was heard per state; what was read was delivered."""
    heard = {"delivered": _Heard(), "read": _Heard()}
    for one in receipts:
        for level in ("delivered", "read") if isinstance(one, Read) else ("delivered",):
            if one.up_to:
                heard[level].up_to = max(heard[level].up_to, _number(one.platform_id or ""))
            else:
                heard[level].ids.add(one.platform_id or "")
    return heard


def _offer(receipts: Sequence[Delivered], rows: Sequence[Row], later: Later) -> None:
    """Let receipts come again that may be about a row which is not known to be sent yet."""
    known = {one for row in rows for one in row.get("platform_ids") or ()}
    for one in receipts:
        if one.up_to or one.platform_id not in known:
            later(one)


async def _write(ctx: Context, heard: Sequence[tuple[Row, dict[str, _Heard]]]) -> list[Row]:
    """Write states where every bubble was heard of; else note the bubbles, and look whether they are all there now."""
    whole: list[UpdateMany | UpdateOne] = []
    parts: list[UpdateMany | UpdateOne] = []
    changed, waiting = [], []
    for row, levels in heard:
        ids, named = row["platform_ids"], {level: levels[level].of(row["platform_ids"]) for level in levels}
        if not named["delivered"]:
            continue
        changed.append(row)
        if level := _reached(ids, named):
            whole.append(_rise(row, level))
        if len(ids) > 1 and level != "read":
            waiting.append(row)
            each = {f"heard.{name}": {"$each": sorted(found)} for name, found in named.items() if found}
            parts.append(UpdateOne({"_id": row["_id"], "wanted": row["wanted"]}, {"$addToSet": each}))
    if whole or parts:
        await ctx.db[ROWS].bulk_write([*whole, *parts])
    if waiting:
        await _complete(ctx, waiting)
    return changed


async def _complete(ctx: Context, rows: Sequence[Row]) -> None:
    """Read after the write: of two who note the last bubbles at once, one at least sees both."""
    fields = {"wanted": 1, "platform_ids": 1, "heard": 1}
    found = await ctx.db[ROWS].find_list({"_id": {"$in": [row["_id"] for row in rows]}}, fields, limit=len(rows))
    done = [(row, _reached(row["platform_ids"], row.get("heard") or {})) for row in found]
    if writes := [_rise(row, level) for row, level in done if level]:
        await ctx.db[ROWS].bulk_write(writes)


def _reached(platform_ids: Collection[str], named: dict[str, Any]) -> str | None:
    """Return the state that all bubbles have reached, if any."""
    read = set(named.get("read") or ())
    if read.issuperset(platform_ids):
        return "read"
    return "delivered" if read.union(named.get("delivered") or ()).issuperset(platform_ids) else None


def _rise(row: Row, level: str) -> UpdateOne:
    where = {"_id": row["_id"], "wanted": row["wanted"], "state": {"$in": list(LOWER[level])}}
    return UpdateOne(where, {"$set": {"state": level, "updated_at": utcnow()}})
