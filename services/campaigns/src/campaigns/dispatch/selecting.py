"""Which rows go next: from the low-water slice upwards, one slice at a time."""

from dataclasses import dataclass
from datetime import datetime

from campaigns.context import Context
from campaigns.dispatch.lease import Lease
from campaigns.outbox.rows import ROWS, SLICE_ROWS, slice_of


@dataclass(frozen=True)
class Chosen:
    """A stretch of numbers whose pending rows are due."""

    first: int
    last: int
    count: int


@dataclass
class Selection:
    """What a pass over an account's slices found. `next_at`: when the earliest row that waits becomes due."""

    chosen: Chosen | None = None
    waiting: bool = False
    next_at: datetime | None = None


async def choose(ctx: Context, lease: Lease, account: str, limit: int, now: datetime) -> Selection:
    """Return the next stretch of at most *limit* due rows, and raise the low-water mark past slices without any."""
    low = lease.low.get(account, int(lease.campaign["low"].get(account, 0)))
    last = max(0, int(lease.campaign["numbers"].get(account, 0)) - 1) // SLICE_ROWS
    found = Selection()
    for number in range(low, last + 1):
        await _look(ctx, slice_of(lease.id, account, number * SLICE_ROWS), limit, now, found)
        if found.chosen is not None:
            break
        if not found.waiting:
            lease.low[account] = number  # the last slice is looked at again: rows may still be added to it
    return found


async def _look(ctx: Context, name: str, limit: int, now: datetime, found: Selection) -> None:
    rows = await ctx.db[ROWS].find_list(
        {"slice": name, "state": "pending"}, {"number": 1, "not_before": 1}, sort=[("number", 1)], limit=SLICE_ROWS * 2
    )
    due = [row["number"] for row in rows if row["not_before"] <= now][:limit]
    later = [row["not_before"] for row in rows if row["not_before"] > now]
    if rows:
        found.waiting = True
    if later:
        found.next_at = min([*later, *([found.next_at] if found.next_at else [])])
    if due:
        found.chosen = Chosen(due[0], due[-1], len(due))
