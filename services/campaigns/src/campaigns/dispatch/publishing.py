"""Step 5 of dispatch: publish exactly what was read back, acknowledged, many at a time."""

import asyncio
from collections.abc import AsyncIterator

from nats.js import api
from servicekit.bus_errors import translated
from servicekit.clock import utcnow
from servicekit.errors import Invalid, KurirError, NotFound, Permanent, Unavailable
from servicekit.failpoints import failpoint_flushed

from campaigns.campaign.store import Campaign
from campaigns.context import Context
from campaigns.dispatch.batch import Batch
from campaigns.dispatch.commands import Commands
from campaigns.outbox import counts
from campaigns.outbox.rows import ROWS, Row

_YIELD_EVERY = 50
"""Rendering is work without a pause: every so many rows the event loop gets its turn."""


async def publish(ctx: Context, campaign: Campaign, batch: Batch, rows: AsyncIterator[Row]) -> int:
    """Publish a command for each row and return how many the stream acknowledged.

    Raises Unavailable where NATS is away or the account's queue full: do the batch again, the same ids double nothing.
    """
    ctx.bus.require()
    commands = Commands(ctx, campaign, batch)
    waiting: list[asyncio.Future[api.PubAck]] = []
    async for row in rows:
        require_life(ctx, batch)
        try:
            subject, payload, headers = await commands.of(row)
        except (Permanent, NotFound, Invalid) as error:
            await _refuse(ctx, batch, row, error)
            continue
        waiting.append(await ctx.bus.pipe.publish(subject, payload, headers))
        await failpoint_flushed("dispatch.after_publish")
        if len(waiting) % _YIELD_EVERY == 0:
            await asyncio.sleep(0)
    for answer in await asyncio.gather(*waiting, return_exceptions=True):
        if isinstance(answer, BaseException):
            with translated(f"commands of {batch.id}"):
                raise answer
    return len(waiting)


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
