"""INBOX has no age limit: what our reader has acknowledged and is older than seven days is purged here."""

import asyncio
from datetime import datetime, timedelta

from servicekit.bus_errors import translated
from servicekit.clock import utcnow
from servicekit.errors import Unavailable

from campaigns.context import Context
from campaigns.outbox.messaging import DURABLE, STREAM

MARKS = "inbox_marks"
EVERY_SECONDS = 3_600.0
FULL = 0.7
"""Above this share of its byte limit INBOX would soon refuse outcomes: then an hour is old enough."""


async def run(ctx: Context) -> None:
    """Purge for ever; a background task."""
    while True:
        try:
            await once(ctx, utcnow())
        except Unavailable as error:
            ctx.log.warning("purging waits", error=str(error))
        await asyncio.sleep(EVERY_SECONDS)


async def once(ctx: Context, now: datetime) -> int:
    """Note how far the reader has acknowledged, and purge up to the newest such note that is old enough; return it."""
    with translated(STREAM):
        info = await ctx.bus.js.consumer_info(STREAM, DURABLE)
        stream = await ctx.bus.js.stream_info(STREAM)
    floor = int(info.ack_floor.stream_seq if info.ack_floor else 0)
    await ctx.db[MARKS].delete_many({"_id": {"$gt": floor}})  # of a bus that was lost: its sequences began at 1 again
    await ctx.db[MARKS].update_one({"_id": floor}, {"$setOnInsert": {"at": now}}, upsert=True)
    most = stream.config.max_bytes or 0
    full = most > 0 and stream.state.bytes > most * FULL
    keep = timedelta(hours=1) if full else timedelta(days=ctx.settings.inbox_keep_days)
    old = await ctx.db[MARKS].find_list({"at": {"$lte": now - keep}}, sort=[("_id", -1)], limit=1)
    if not old:
        return 0
    with translated(STREAM):
        await ctx.bus.js.purge_stream(STREAM, seq=old[0]["_id"] + 1)
    await ctx.db[MARKS].delete_many({"_id": {"$lt": old[0]["_id"]}})
    return int(old[0]["_id"])
