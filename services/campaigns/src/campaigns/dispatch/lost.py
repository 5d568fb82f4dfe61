"""The last net: a row queued in a batch that counts as done would wait for ever."""

from campaigns.context import Context
from campaigns.dispatch.batch import BATCHES
from campaigns.dispatch.lease import Lease
from campaigns.outbox import counts
from campaigns.outbox.rows import ROWS, SLICE_ROWS


async def find(ctx: Context, lease: Lease) -> int:
    """Give such batches back to the sweeper; return how many. Looks only where no batch of the campaign is undone.

    It takes a dispatcher that froze for hours between two lines, and marked rows after its batch had been swept.
    """
    if await ctx.db[BATCHES].find_one({"campaign": lease.id, "done": False}, {"_id": 1}):
        return 0
    found: set[str] = set()
    for name in await counts.slices_with(ctx, lease.id, "queued"):
        rows = await ctx.db[ROWS].find_list({"slice": name, "state": "queued"}, {"batch": 1}, limit=SLICE_ROWS * 2)
        found |= {str(row["batch"]) for row in rows}
        if not rows:
            await counts.touch(ctx, [name])  # the count was wrong: somebody died between a change and its note
    if found:
        where = {"_id": {"$in": sorted(found)}, "done": True}
        await ctx.db[BATCHES].update_many(where, {"$set": {"done": False}, "$unset": {"purge_at": ""}})
    return len(found)
