"""No row without an end: past a batch's `not_after`, the ledger is asked about each row still queued (3.10)."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from contracts.channels import Channel
from contracts.inbox import Outcome
from contracts.state import LedgerEntry
from servicekit.bus_errors import translated
from servicekit.clock import utcnow
from servicekit.errors import Conflict, Unavailable
from servicekit.ledger import Ledger
from servicekit.mongo import Document

from campaigns.context import Context
from campaigns.dispatch import incarnation
from campaigns.dispatch.batch import BATCHES, queued_in
from campaigns.dispatch.cancelling import cancel_queued, ledger_key
from campaigns.outbox import direct, settle
from campaigns.outbox.messaging import DURABLE, STREAM
from campaigns.outbox.rows import ROWS, Row

_BATCHES_AT_ONCE = 200
_ROWS_AT_ONCE = 1_000


async def run(ctx: Context) -> None:
    """Sweep for ever; a background task."""
    while True:
        try:
            await sweep(ctx, utcnow())
            await purge(ctx, utcnow())
            await direct.look_again(ctx)
        except Unavailable as error:
            ctx.log.warning("the sweeper waits", error=str(error))
        await asyncio.sleep(ctx.settings.sweep_every_seconds)


async def sweep(ctx: Context, now: datetime) -> int:
    """Give every overdue batch's queued rows their end; return how many batches are done now.

    Nothing is swept before our reader has passed what INBOX held at the start: an outcome on its way is not missing.
    """
    limit = now - timedelta(seconds=ctx.settings.send_timeout_seconds)
    overdue = await ctx.db[BATCHES].find_list(
        {"not_after": {"$lt": limit}, "done": False}, sort=[("not_after", 1)], limit=_BATCHES_AT_ONCE
    )
    if not overdue or not await reader_passed(ctx, await inbox_end(ctx)):
        return 0
    done = 0
    for batch in overdue:
        done += await _sweep_batch(ctx, batch)
    return done


async def inbox_end(ctx: Context) -> int:
    """Return the last sequence of INBOX."""
    with translated(STREAM):
        return int((await ctx.bus.js.stream_info(STREAM)).state.last_seq)


async def reader_passed(ctx: Context, sequence: int, timeout_seconds: float = 30.0) -> bool:
    """Return whether our reader has acknowledged everything up to *sequence*, waiting for it a while."""
    deadline = asyncio.get_running_loop().time() + timeout_seconds
    while True:
        if await _acknowledged(ctx) >= sequence:
            return True
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(0.2)


async def _acknowledged(ctx: Context) -> int:
    with translated(STREAM):
        info = await ctx.bus.js.consumer_info(STREAM, DURABLE)
    if not info.num_pending and not info.num_ack_pending:
        return 1 << 62
    return int(info.ack_floor.stream_seq if info.ack_floor else 0)


async def _sweep_batch(ctx: Context, batch: Document) -> bool:
    life = ctx.incarnations.get(batch["channel"])
    if life is None:
        return False
    if batch.get("incarnation") != life:  # its rows were marked while its bus was lost and settled
        await incarnation.settle_batch(ctx, batch)
        return True
    while True:
        rows = await ctx.db[ROWS].find_list(queued_in(batch), limit=_ROWS_AT_ONCE)
        if not rows:
            break
        if not await end_rows(ctx, rows):
            return False  # somebody writes to the ledger right now: the next sweep sees what
    purge_at = batch["not_after"] + timedelta(seconds=ctx.settings.ledger_keep_seconds)
    await ctx.db[BATCHES].update_one({"_id": batch["_id"]}, {"$set": {"done": True, "purge_at": purge_at}})
    return True


async def end_rows(ctx: Context, rows: Sequence[Row]) -> bool:
    """Ask the ledger about queued rows and apply what it says; return whether each of them had an answer.

    Nothing or `released`: claimed with `cancelled`, and the row is pending again. `claimed`: `unknown`. An end: applied.
    """
    found = await asyncio.gather(*(_end(ctx, row) for row in rows))
    free = [row for row, what in zip(rows, found, strict=True) if what == "free"]
    heard = [what for what in found if isinstance(what, Outcome)]
    await settle.apply(ctx, heard)
    results = await cancel_queued(ctx, free, "expired")
    return len(heard) + results["won"] + results["ended"] > 0


async def _end(ctx: Context, row: Row) -> Outcome | str:
    ledger, key = Ledger(ctx.bus, Channel(row["channel"])), ledger_key(row)
    stored = await ledger.read(key)
    if stored is None or stored.entry.state == "released":
        return "free"
    if stored.entry.is_end:
        return settle.from_ledger(row, stored.entry)
    entry = _undecided(stored.entry)
    try:
        await ledger.write(key, entry, stored.revision)
    except Conflict:
        return "busy"
    return settle.from_ledger(row, entry)


def _undecided(claimed: LedgerEntry) -> LedgerEntry:
    """Return the end of an attempt whose holder never told: it may have gone out or not."""
    return claimed.model_copy(
        update={"state": "unknown", "reason": "no_answer", "detail": "its sender ended without a word", "at": utcnow()}
    )


async def purge(ctx: Context, now: datetime) -> int:
    """Forget the ledger of batches that are done, an hour past their end; return how many."""
    found = await ctx.db[BATCHES].find_list({"purge_at": {"$lt": now}}, limit=_BATCHES_AT_ONCE)
    for batch in found:
        await Ledger(ctx.bus, Channel(batch["channel"])).purge(batch["account"], batch["_id"])
        await ctx.db[BATCHES].update_one({"_id": batch["_id"]}, {"$unset": {"purge_at": ""}})
    return len(found)
