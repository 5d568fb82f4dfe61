"""Pausing and cancelling a campaign: what is queued is claimed back from the lanes, what is pending ends."""

from servicekit.clock import utcnow

from campaigns.context import Context
from campaigns.dispatch.batch import BATCHES
from campaigns.dispatch.cancelling import cancel_queued
from campaigns.dispatch.lease import Lease
from campaigns.outbox import counts
from campaigns.outbox.rows import ROWS, SLICE_ROWS, slice_of

_PART = 1_000


async def recall(ctx: Context, lease: Lease, reason: str) -> bool:
    """Cancel every queued row of the campaign; return whether some are being sent now and will end by their event."""
    if lease.campaign["open"]:
        await lease.write({"$set": {"open": []}})  # never published again: its rows are recalled below
    asked = 0
    batches = await ctx.db[BATCHES].find_list({"campaign": lease.id, "done": False}, {"_id": 1}, limit=100_000)
    for batch in batches:
        while True:
            rows = await ctx.db[ROWS].find_list({"batch": batch["_id"], "state": "queued"}, limit=_PART)
            results = await cancel_queued(ctx, rows, reason)
            asked += results["asked"]
            if len(rows) < _PART or not results["won"]:
                break
        await lease.write({})
    return asked > 0


async def end_pending(ctx: Context, lease: Lease, state: str, reason: str, accounts: list[str] | None = None) -> None:
    """End every pending row of the campaign (of some accounts only), slice by slice."""
    change = {"$set": {"state": state, "reason": reason, "updated_at": utcnow()}}
    for account, numbers in lease.campaign["numbers"].items():
        if accounts is not None and account not in accounts:
            continue
        for number in range(0, int(numbers), SLICE_ROWS):
            name = slice_of(lease.id, account, number)
            done = await ctx.db[ROWS].update_many({"slice": name, "state": "pending"}, change)
            if done.modified_count:
                await counts.touch(ctx, [name])
        await lease.write({})
