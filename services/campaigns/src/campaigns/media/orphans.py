"""Content nobody names any more is deleted a week after it was last stored."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta

from servicekit.clock import utcnow
from servicekit.errors import NotFound

from campaigns.context import Context
from campaigns.media.usecases import bucket

KEEP = timedelta(days=7)
EVERY_SECONDS = 6 * 3_600.0
_AT_ONCE = 200


async def run(ctx: Context) -> None:
    """Collect for ever; a background task."""
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        ctx.log.info("orphans were collected from the media store", count=await collect(ctx))


async def collect(ctx: Context, keep: timedelta = KEEP) -> int:
    """Delete what is older than *keep* and named by no file, message, campaign or running import; return how many."""
    before = utcnow() - keep
    old = [stored.id async for stored in bucket(ctx).all() if stored.modified < before]
    deleted = 0
    for start in range(0, len(old), _AT_ONCE):
        part = old[start : start + _AT_ONCE]
        for object_id in sorted(set(part) - await _named(ctx, part)):
            try:
                if (await bucket(ctx).info(object_id)).modified < before:  # stored again meanwhile: it is wanted
                    await bucket(ctx).delete(object_id)
                    deleted += 1
            except NotFound:
                continue
    return deleted


async def _named(ctx: Context, ids: Iterable[str]) -> set[str]:
    wanted = {"$in": list(ids)}
    named = {str(m["object"]) async for m in ctx.db["media"].find({"object": wanted}, {"object": 1})}
    named |= {o async for m in ctx.db["messages"].find({"objects": wanted}, {"objects": 1}) for o in m["objects"]}
    files = ctx.db["campaigns"].find({"file": {"$ne": None}}, {"file.pieces": 1})
    named |= {piece async for campaign in files for piece in campaign["file"]["pieces"]}
    running = {"status": {"$in": ["queued", "running"]}}
    return named | {p async for i in ctx.db["imports"].find(running, {"pieces": 1}) for p in i["pieces"]}
