"""The standing campaign `direct` of each account: replies, test-sends and automations are its rows."""

from datetime import timedelta

from contracts.channels import Channel
from contracts.commands import Content, Kind, Recipient, Thread
from contracts.ids import digest
from servicekit.clock import utcnow
from servicekit.mongo import DuplicateKey

from campaigns.campaign.store import collection, machinery, wake
from campaigns.context import Context
from campaigns.outbox import counts
from campaigns.outbox.rows import ROWS, SLICE_ROWS, Row, new_row, placed, reserve_seq, with_content
from campaigns.outbox.usecases import DIRECT
from campaigns.outbox.zones import SLICES

_LOOK_SECONDS = 2.0


async def enqueue(
    ctx: Context,
    *,
    account_id: str,
    channel: Channel,
    kind: Kind,
    to: Recipient,
    content: Content,
    thread: Thread | None = None,
    key: str,
    conversation_id: str | None = None,
) -> str:
    """Store a message to be sent soon and return its row's id; the same *key* (per account) is the same row.

    Acknowledged means kept. Raises Unavailable where the store is away.
    """
    row_id = digest("direct", account_id, key)
    campaign = f"{DIRECT}{account_id}"
    stored = await ctx.db[ROWS].find_one({"_id": row_id}, {"slice": 1, "number": 1})
    if stored is None:
        row = new_row(
            row_id, campaign=campaign, account=account_id, channel=channel, kind=kind, to=to.model_dump(),
            key=to.address.strip().casefold(),
        )  # fmt: skip
        stored = await _store(ctx, with_content({**row, "conversation": conversation_id}, content, thread))
    await counts.touch(ctx, [stored["slice"]])  # also the second time: the first caller may have died before it
    await wake(ctx, campaign, account=account_id, slice_no=stored["number"] // SLICE_ROWS)
    await ctx.hub.publish("row", [row_id])
    return row_id


async def _store(ctx: Context, row: Row) -> Row:
    await _standing(ctx, row)
    account = row["account"]
    soon = utcnow() + timedelta(seconds=_LOOK_SECONDS)  # who dies behind the insert has had a dispatcher look
    found = await collection(ctx).find_one_and_update(
        {"_id": row["campaign"]}, {"$inc": {f"numbers.{account}": 1}, "$min": {"due_at": soon}}
    )
    number = int(found["numbers"][account]) - 1 if found else 0
    stored = placed(row, number, await reserve_seq(ctx, 1))
    try:
        await ctx.db[ROWS].insert_one(stored)
    except DuplicateKey:  # pressed twice at once; the number is wasted
        return await ctx.db[ROWS].find_one({"_id": row["_id"]}, {"slice": 1, "number": 1}) or stored
    return stored


async def look_again(ctx: Context) -> None:
    """Have dispatchers look at every standing campaign that has something waiting: a wake-up call may have been lost."""
    waiting = {"campaign": {"$gte": DIRECT, "$lt": f"{DIRECT}\U0010ffff"}, "counts.pending": {"$gt": 0}}
    async for one in ctx.db[SLICES].find(waiting, {"campaign": 1, "account": 1, "no": 1}):
        await wake(ctx, one["campaign"], account=one["account"], slice_no=one["no"])


async def _standing(ctx: Context, row: Row) -> None:
    """Make sure the account's standing campaign exists."""
    fields = {
        **machinery(), "kind": "direct", "name": "direct", "channel": row["channel"], "accounts": [row["account"]],
        "status": "processing", "expansion": {"phase": "done"}, "schedule": {}, "created_at": utcnow(),
    }  # fmt: skip
    await collection(ctx).update_one({"_id": row["campaign"]}, {"$setOnInsert": fields}, upsert=True)
