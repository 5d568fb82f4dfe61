"""Step 5 of dispatch: publish exactly what was read back, acknowledged, many at a time."""

import asyncio
from collections.abc import AsyncIterator

from servicekit.burst import Burst
from servicekit.bus_errors import translated
from servicekit.clock import utcnow
from servicekit.errors import Invalid, KurirError, NotFound, Permanent, Unavailable
from servicekit.failpoints import failpoint_flushed

from campaigns.context import Context
from campaigns.dispatch.batch import Batch
from campaigns.dispatch.commands import Commands
from campaigns.dispatch.lease import Lease
from campaigns.outbox import counts
from campaigns.outbox.rows import ROWS, Row

_YIELD_EVERY = 50
"""Rendering is work without a pause: every so many rows the event loop gets its turn."""


async def publish(ctx: Context, lease: Lease, batch: Batch, rows: AsyncIterator[list[Row]]) -> int:
    """Publish a command for each row while the lease is ours; return how many the stream acknowledged.

    Raises Unavailable where NATS is away or the account's queue full: do the batch again, the same ids double nothing;
    LeaseLost. Thousands of large bodies take longer than a lease lasts, so it is kept.
    """
    ctx.bus.require()
    commands, burst, seen = Commands(ctx, lease.campaign, batch), Burst(ctx.bus.pipe), 0
    with translated(f"commands of {batch.id}"):
        async for some in rows:
            for row in some:
                require_life(ctx, batch)
                await lease.keep()
                await _one(ctx, batch, commands, burst, row)
                seen += 1
                if seen % _YIELD_EVERY == 0:
                    await asyncio.sleep(0)
        return await burst.end()


async def _one(ctx: Context, batch: Batch, commands: Commands, burst: Burst, row: Row) -> None:
    try:
        command = await commands.of(row)
    except (Permanent, NotFound, Invalid) as error:
        await _refuse(ctx, batch, row, error)
    else:
        await burst.post(command.subject, command.payload, command.head)
        await failpoint_flushed("dispatch.after_publish")


def require_life(ctx: Context, batch: Batch) -> None:
    """Raise Unavailable unless the bus is the one the batch was opened on: another has lost the ledger of its rows."""
    ctx.bus.require()
    if ctx.incarnations.get(batch.channel) != batch.incarnation:
        raise Unavailable(f"the bus of {batch.id} is not verified")


async def _refuse(ctx: Context, batch: Batch, row: Row, error: KurirError) -> None:
    """End a row that cannot be made into a message; it was never published, and a redo decides the same."""
    change = {"state": "failed", "reason": error.reason, "detail": error.detail[:2_000], "updated_at": utcnow()}
    await ctx.db[ROWS].update_one({"_id": row["_id"], "batch": batch.id, "state": "queued"}, {"$set": change})
    await counts.touch(ctx, [row["slice"]])
