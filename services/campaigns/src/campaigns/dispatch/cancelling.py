"""Cancelling what may be on its way: the ledger decides, and only the winner moves the row (architecture 3.6)."""

import asyncio
from collections.abc import Sequence

from contracts.channels import Channel
from contracts.ids import digest
from contracts.inbox import Outcome
from servicekit.errors import Unavailable
from servicekit.failpoints import failpoint
from servicekit.ledger import CancelResult, Ledger

from campaigns.context import Context
from campaigns.dispatch import incarnation
from campaigns.dispatch.batch import BATCHES
from campaigns.outbox import settle
from campaigns.outbox.rows import Row

_AT_ONCE = 64


def ledger_key(row: Row) -> str:
    """Return the key of a queued row's attempt."""
    return f"{row['account']}.{row['batch']}.{row['_id']}"


async def cancel_queued(ctx: Context, rows: Sequence[Row], reason: str, detail: str = "") -> dict[str, int]:
    """Cancel queued rows; return how many were `won`, `asked` (being sent now) or had `ended`.

    The rows won become pending (`paused`, `expired`) or cancelled; those asked end by their holder's event. Safe to do
    again: the same token recognises an earlier call that died before it moved its row.
    """
    rows, lost = await _by_life(ctx, rows)
    heard: list[Outcome] = [incarnation.unknown(row) for row in lost]
    results = {"won": 0, "asked": 0, "ended": len(lost)}
    for start in range(0, len(rows), _AT_ONCE):
        part = rows[start : start + _AT_ONCE]
        for row, result in zip(part, await asyncio.gather(*(_one(ctx, r, reason, detail) for r in part)), strict=True):
            results[result.outcome] += 1
            if result.entry.is_end:
                heard.append(settle.from_ledger(row, result.entry))
    if heard:
        failpoint("campaign.after_recall")
    await settle.apply(ctx, heard)
    return results


async def _by_life(ctx: Context, rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Return the rows the ledger knows, and those of a bus that was lost: whether they went out, nobody knows any more.

    Raises Unavailable while the bus is not verified.
    """
    ids = sorted({row["batch"] for row in rows})
    found = await ctx.db[BATCHES].find_list(
        {"_id": {"$in": ids}}, {"incarnation": 1, "channel": 1}, limit=len(ids) or 1
    )
    lost = set()
    for batch in found:
        life = ctx.incarnations.get(batch["channel"])
        if life is None:
            raise Unavailable("the bus is being verified: try again in a moment")
        if batch.get("incarnation") != life:
            lost.add(batch["_id"])
    return [row for row in rows if row["batch"] not in lost], [row for row in rows if row["batch"] in lost]


async def _one(ctx: Context, row: Row, reason: str, detail: str) -> CancelResult:
    ledger = Ledger(ctx.bus, Channel(row["channel"]))
    token = digest("cancel", row["_id"], row["k"], reason)
    return await ledger.cancel(ledger_key(row), reason, detail=detail, token=token, tries=row["tries"])
