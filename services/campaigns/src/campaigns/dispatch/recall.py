"""Pausing and cancelling a campaign: what is queued is claimed back from the lanes, what is pending ends."""

from servicekit.clock import utcnow

from campaigns.context import Context
from campaigns.dispatch.batch import Batch
from campaigns.dispatch.cancelling import cancel_queued
from campaigns.dispatch.lease import Lease
from campaigns.outbox import counts
from campaigns.outbox.rows import ROWS, SLICE_ROWS, slice_of


async def recall(ctx: Context, lease: Lease, reason: str) -> bool:
    """Cancel every queued row of the campaign; return whether some are being sent now and will end by their event."""
    opened = {Batch.of(stored).slice for stored in lease.campaign["open"]}
    asked = 0
    for name in sorted(opened | set(await counts.slices_with(ctx, lease.id, "queued"))):
        rows = await ctx.db[ROWS].find_list({"slice": name, "state": "queued"}, limit=SLICE_ROWS * 2)
        asked += (await cancel_queued(ctx, rows, reason))["asked"]
        await lease.keep()
    if opened:
        await lease.write({"$set": {"open": []}})  # never published again: its rows are recalled
    return asked > 0


async def note_all(ctx: Context, lease: Lease) -> None:
    """Have every slice looked at of a campaign whose expansion ends here.

    Whoever stored rows may have died before noting their slices, and the part is never done again, which would note them.
    """
    if (lease.campaign.get("expansion") or {}).get("phase") == "done":
        return
    numbers = lease.campaign["numbers"].items()
    await counts.touch(
        ctx, [slice_of(lease.id, account, n) for account, most in numbers for n in range(0, int(most), SLICE_ROWS)]
    )


async def end_pending(ctx: Context, lease: Lease, state: str, reason: str, account: str | None = None) -> None:
    """End every pending row of the campaign (of one account only), slice by slice."""
    change = {"$set": {"state": state, "reason": reason, "updated_at": utcnow()}}
    for name in await counts.slices_with(ctx, lease.id, "pending", account):
        await ctx.db[ROWS].update_many({"slice": name, "state": "pending"}, change)
        await counts.touch(ctx, [name])
        await lease.keep()
