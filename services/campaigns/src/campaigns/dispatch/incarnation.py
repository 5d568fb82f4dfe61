"""A bus made anew has forgotten its commands and its ledger: what lay queued in the old one is decided here (3.12).

Nothing is dispatched to a channel before it is verified here that neither bus nor store have gone back in time.
"""

import asyncio
from typing import Any

import nats.js.errors
from contracts import subjects
from contracts.channels import MESSAGING, Channel
from contracts.inbox import Unknown
from servicekit.bus_errors import translated
from servicekit.clock import boottime, utcnow
from servicekit.errors import Unavailable
from servicekit.mongo import Document, UpdateOne

from campaigns.campaign.store import collection, move, wake
from campaigns.context import Context
from campaigns.dispatch import restored
from campaigns.dispatch.batch import BATCHES, queued_in
from campaigns.outbox import counts, settle
from campaigns.outbox.rows import EPOCH, ROWS, SLICE_ROWS, Row
from campaigns.suppression import usecases as suppressions

_ROWS_AT_ONCE = 1_000
_MARK_EVERY_SECONDS = 60.0
"""How far a store may be behind its backup without anybody noticing."""


async def run(ctx: Context) -> None:
    """Verify every channel at the start, after each reconnect and each minute, for ever; a background task."""
    marked: dict[str, float] = {}
    while True:
        for channel in MESSAGING:
            if str(channel) in ctx.settings.channels and await _try(ctx, channel, marked.get(channel, 0.0)):
                marked[channel] = boottime()
        await asyncio.sleep(0.25)


async def _try(ctx: Context, channel: Channel, marked_at: float) -> bool:
    """Return whether anything had to be verified, and was."""
    connection, known = ctx.incarnations.connection(), ctx.incarnations.get(channel) is not None
    if connection < 0 or (known and boottime() - marked_at < _MARK_EVERY_SECONDS):
        return False
    try:
        if known and await restored.is_older(ctx, channel):
            ctx.incarnations.forget(channel)
        ctx.incarnations.note(channel, await verify(ctx, channel), connection)
    except (Unavailable, nats.js.errors.Error) as error:
        ctx.log.warning("the bus cannot be verified yet", channel=channel, error=str(error)[:200])
        await asyncio.sleep(1)
        return False
    return True


async def read(ctx: Context, channel: Channel) -> str:
    """Return the id of the bus's present life for a channel: when its command stream and its ledger were created."""
    made = []
    for stream in (subjects.commands_stream(channel), f"KV_{subjects.bucket('ledger', channel)}"):
        with translated(stream):
            made.append(str((await ctx.bus.js.stream_info(stream)).created))
    return "/".join(made)


async def verify(ctx: Context, channel: Channel) -> str:
    """Return the incarnation after settling what an earlier one has lost; safe to do again, nothing where none changed."""
    current = await read(ctx, channel)
    if await restored.is_older(ctx, channel):
        ctx.log.error("the store is older than the bus: what happened since is learnt again", channel=channel)
        await _pause_all(ctx, channel, await restored.catch_up(ctx, channel, current))
    stored = await ctx.db["counters"].find_one({"_id": f"incarnation.{channel}"})
    if stored is not None and stored["incarnation"] != current:
        ctx.log.error("the bus was made anew: queued messages of the old one are settled", channel=channel)
        await _settle_lost(ctx, channel, current)
        await _pause_all(ctx, channel, {"reason": "bus_lost"})
        await suppressions.project_all(ctx)
    await ctx.db["counters"].update_one(
        {"_id": f"incarnation.{channel}"}, {"$set": {"incarnation": current}}, upsert=True
    )
    await restored.raise_mark(ctx, channel)
    return current


async def _pause_all(ctx: Context, channel: Channel, attention: dict[str, Any]) -> None:
    """A person looks first: after a lost bus the store may have been restored from an older day as well."""
    where = {"status": {"$in": ["processing", "scheduled"]}, "kind": "campaign", "channel": str(channel)}
    async for campaign in collection(ctx).find(where, {"_id": 1}):
        await move(ctx, campaign["_id"], ("processing", "scheduled"), "paused", attention=attention)
    await collection(ctx).update_many({"channel": str(channel), "open.0": {"$exists": True}}, {"$set": {"open": []}})


async def _settle_lost(ctx: Context, channel: Channel, current: str) -> None:
    async for batch in ctx.db[BATCHES].find({"channel": str(channel), "done": False}):
        if batch.get("incarnation") != current:
            await settle_batch(ctx, batch)


async def settle_batch(ctx: Context, batch: Document) -> None:
    """End what is queued in a batch of a lost bus, or have it sent again where the platform recognises a repetition."""
    again = str(batch["channel"]) in ctx.settings.idempotent_channels.split(",")
    while rows := await ctx.db[ROWS].find_list(queued_in(batch), limit=_ROWS_AT_ONCE):
        await (_send_again(ctx, rows) if again else settle.apply(ctx, [unknown(row) for row in rows]))
    await ctx.db[BATCHES].update_one({"_id": batch["_id"]}, {"$set": {"done": True}})


async def _send_again(ctx: Context, rows: list[Row]) -> None:
    change = {"$set": {"state": "pending", "not_before": EPOCH, "reason": "bus_lost", "updated_at": utcnow()}}
    await ctx.db[ROWS].bulk_write(
        [UpdateOne({"_id": r["_id"], "batch": r["batch"], "state": "queued"}, change) for r in rows]
    )
    await counts.touch(ctx, {row["slice"] for row in rows})
    for campaign, account, number in {(r["campaign"], r["account"], r["number"] // SLICE_ROWS) for r in rows}:
        await wake(ctx, campaign, account=account, slice_no=number)


def unknown(row: Row) -> Unknown:
    """Return the end of a row that lay queued on a bus that was lost."""
    return Unknown(
        account_id=row["account"], channel=Channel(row["channel"]), campaign_id=row["campaign"], row=row["_id"],
        batch=row["batch"], k=row["k"], number=row["number"], wanted=row["wanted"], tries=row["tries"], at=utcnow(),
        reason="bus_lost", detail="the bus lost its ledger: nobody knows whether this went out",
    )  # fmt: skip
