"""Accounts that are being deleted: what waits for them ends, or moves to another account (architecture 3.10)."""

from contracts import subjects
from contracts.events import AccountDeleting
from servicekit import delivery
from servicekit.clock import utcnow
from servicekit.mongo import UpdateOne

from campaigns.campaign.store import collection, wake
from campaigns.context import Context
from campaigns.dispatch.lease import Lease
from campaigns.dispatch.recall import end_pending
from campaigns.outbox import counts
from campaigns.outbox.rows import ROWS, SLICE_ROWS, Row, slice_of

GONE = "gone_accounts"


def subscribe(ctx: Context) -> None:
    """Declare the reader of deletions; it begins with the bus."""

    async def handle(item: delivery.Received) -> None:
        if isinstance(item.data, AccountDeleting):
            await on_deleting(ctx, item.data)

    wanted = [subjects.domain("accounts", "account", "deleting")]
    delivery.subscribe(ctx.bus, stream="EVENTS", durable="campaigns_accounts", subjects=wanted, handler=handle)


async def on_deleting(ctx: Context, event: AccountDeleting) -> None:
    """Remember the deletion, and have every campaign of the account look at it. Safe to repeat."""
    fields = {"move_to": event.move_to, "at": event.at}
    await ctx.db[GONE].update_one({"_id": event.account_id}, {"$set": fields}, upsert=True)
    concerned = {"status": {"$in": ["scheduled", "processing", "paused"]}}
    async for campaign in collection(ctx).find(concerned, {"accounts": 1, "numbers": 1}):
        if event.account_id in (*campaign["accounts"], *campaign["numbers"]):
            await wake(ctx, campaign["_id"])


async def settle(ctx: Context, lease: Lease) -> None:
    """End or move what waits for accounts of this campaign that are gone; under its lease, so that nothing is dispatched."""
    accounts = sorted({*lease.campaign["accounts"], *lease.campaign["numbers"]})
    if all(ctx.accounts.desired(lease.campaign["channel"], a) is not None for a in accounts):
        deleting = [a for a in accounts if _is_deleting(ctx, lease, a)]
        if not deleting:
            return
    async for one in ctx.db[GONE].find({"_id": {"$in": accounts}}):
        if one["move_to"] and lease.campaign["kind"] == "campaign":
            await _move(ctx, lease, one["_id"], one["move_to"])
        await end_pending(ctx, lease, "failed", "account_deleted", one["_id"])


def _is_deleting(ctx: Context, lease: Lease, account: str) -> bool:
    desired = ctx.accounts.desired(lease.campaign["channel"], account)
    return desired is not None and desired.status == "deleting"


async def _move(ctx: Context, lease: Lease, account: str, target: str) -> None:
    """Give pending rows a number at another account. A row moved twice by a crash is moved once: it left its slice."""
    others = [a for a in lease.campaign["accounts"] if a != account]
    await lease.write({"$set": {"accounts": [*others, *([] if target in others else [target])]}})
    for name in await counts.slices_with(ctx, lease.id, "pending", account):
        rows = await ctx.db[ROWS].find_list({"slice": name, "state": "pending"}, {"_id": 1}, limit=SLICE_ROWS * 2)
        if rows:
            await _move_rows(ctx, lease, rows, name, target)


async def _move_rows(ctx: Context, lease: Lease, rows: list[Row], name: str, target: str) -> None:
    await lease.write({"$inc": {f"numbers.{target}": len(rows)}})
    first = int(lease.campaign["numbers"][target]) - len(rows)
    moves = []
    for offset, row in enumerate(rows):
        number = first + offset
        place = {"account": target, "number": number, "slice": slice_of(lease.id, target, number)}
        change = {"$set": {**place, "updated_at": utcnow()}}
        moves.append(UpdateOne({"_id": row["_id"], "slice": name, "state": "pending"}, change))
    await ctx.db[ROWS].bulk_write(moves)
    await counts.touch(ctx, {name, *(slice_of(lease.id, target, first + n) for n in range(len(rows)))})
