"""Answers that were stored and not queued before their process died."""

import asyncio
from datetime import timedelta

from servicekit.clock import utcnow
from servicekit.errors import NotFound

from campaigns.context import Context
from campaigns.inbox import usecases

EVERY_SECONDS, AFTER_SECONDS = 15.0, 10.0


async def run(ctx: Context) -> None:
    """Finish such answers for ever; a background task."""
    while True:
        await once(ctx, AFTER_SECONDS)
        await asyncio.sleep(EVERY_SECONDS)


async def once(ctx: Context, after_seconds: float) -> int:
    """Queue what has waited so long; return how many there were. The same answer twice is one row."""
    before = utcnow() - timedelta(seconds=after_seconds)
    waiting = await ctx.db["messages"].find_list({"unsent": True, "created_at": {"$lte": before}}, limit=100)
    for message in waiting:
        try:
            await usecases.send(ctx, message)
        except NotFound:  # its conversation is gone: there is nobody to answer
            await ctx.db["messages"].update_one({"_id": message["_id"]}, {"$unset": {"unsent": ""}})
    return len(waiting)
