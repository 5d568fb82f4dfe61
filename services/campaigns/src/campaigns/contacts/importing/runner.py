"""Imports at work: any replica takes one, a thousand lines at a time, and whoever inherits it goes on from the last."""

import asyncio
from collections.abc import Iterator
from itertools import islice
from typing import Any, BinaryIO

from servicekit.errors import Invalid, NotFound, Retry, Unavailable

from campaigns.contacts import groups
from campaigns.contacts.importing import applying, mapping, store, upload
from campaigns.contacts.importing.mapping import Parsed
from campaigns.contacts.importing.table import read_table
from campaigns.context import Context

Document = dict[str, Any]
CHUNK_LINES = 1_000
MAX_TRIES = 5
REST_SECONDS = 1.0


async def run(ctx: Context) -> None:
    """Take imports for ever; a background task."""
    while True:
        if not await run_one(ctx, ctx.settings.instance_id):
            await asyncio.sleep(REST_SECONDS)


async def run_one(ctx: Context, owner: str) -> bool:
    """Work on one import until it ends or its lease is lost; False where there was none. Raises Unavailable, Retry."""
    work = await store.take(ctx, owner)
    if work is None:
        return False
    if work["tries"] > MAX_TRIES:  # it has ended its worker again and again without one more line
        await store.end(ctx, work["_id"], "failed", f"gave up after {MAX_TRIES} tries at line {work['line']}")
        return True
    try:
        async with upload.fetched(ctx, work["pieces"]) as file:
            if await _all(ctx, work, file):
                await groups.touch(ctx, lists=work["options"]["lists"], tags=work["tags_used"])
                await store.end(ctx, work["_id"], "done")
    except (Unavailable, Retry):
        await store.give_back(ctx, work)
        raise
    except (Invalid, NotFound) as error:
        await store.end(ctx, work["_id"], "failed", error.detail)
    return True


async def _all(ctx: Context, work: Document, file: BinaryIO) -> bool:
    options = work["options"]
    table = await asyncio.to_thread(read_table, file, encoding=options["encoding"], delimiter=options["delimiter"])
    parsed = (
        mapping.parse(row, options["mapping"], options["region"], options["key"]) for row in table.rows(work["line"])
    )
    while chunk := await asyncio.to_thread(_next, parsed):
        if not await _chunk(ctx, work, chunk, _progress(file, work["size"])):
            return False  # cancelled, or another replica has it by now
    return True


def _next(parsed: Iterator[Parsed]) -> list[Parsed]:
    return list(islice(parsed, CHUNK_LINES))


def _progress(file: BinaryIO, size: int) -> float:
    return min(0.99, round(file.tell() / max(size, 1), 3))


async def _chunk(ctx: Context, work: Document, chunk: list[Parsed], progress: float) -> bool:
    plan = await applying.apply(ctx, work, chunk)
    slices = await store.add_problems(ctx, work["_id"], plan.problems)
    counts = {name: work["counts"][name] + plan.counts[name] for name in store.COUNTS}
    used = sorted({*work["tags_used"], *plan.tags})
    fields = {"counts": counts, "tags_used": used, "progress": progress}
    line = chunk[-1].line
    if not await store.commit(ctx, work, fields, line=line, slices=slices):
        return False
    work.update(fields, line=line)
    await ctx.hub.publish("import", [work["_id"]])
    return True
