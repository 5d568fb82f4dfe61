"""Campaigns in the store. Whoever changes what a dispatcher should do bumps `touched` and brings `due_at` forward."""

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from servicekit.clock import utcnow
from servicekit.errors import NotFound, StaleVersion
from servicekit.mongo import Collection, IndexModel, ensure_indexes

from campaigns.contacts.store import next_numbers
from campaigns.context import Context
from campaigns.outbox.rows import EPOCH

Campaign = dict[str, Any]
CAMPAIGNS = "campaigns"


def collection(ctx: Context) -> Collection:
    """Return the collection of campaigns."""
    return ctx.db[CAMPAIGNS]


async def prepare(ctx: Context) -> None:
    """Create the indexes."""
    await ensure_indexes(collection(ctx), [IndexModel("due_at", sparse=True), IndexModel("seq"), IndexModel("status")])


def machinery() -> Campaign:
    """Return the fields that dispatching needs of every campaign, the standing ones included."""
    return {
        "k": 0, "open": [], "numbers": {}, "low": {}, "touched": 0, "epoch": 0, "lease_until": EPOCH,
        "lease_holder": "", "counts": {}, "pending_events": [], "attention": None,
    }  # fmt: skip


async def insert(ctx: Context, fields: Mapping[str, Any]) -> Campaign:
    """Store a new draft."""
    now = utcnow()
    made = {
        **machinery(), **fields, "_id": secrets.token_hex(12), "kind": "campaign", "status": "draft", "version": 1,
        "file": fields.get("file"), "expansion": None, "seq": await next_numbers(ctx, "campaigns"),
        "created_at": now, "updated_at": now, "started_at": None, "finished_at": None,
    }  # fmt: skip
    await collection(ctx).insert_one(made)
    return made


async def get(ctx: Context, campaign_id: str) -> Campaign:
    """Return a campaign that a person made. Raises NotFound."""
    found = await collection(ctx).find_one({"_id": campaign_id, "kind": "campaign"})
    if found is None:
        raise NotFound(f"there is no campaign {campaign_id}")
    return found


async def edit(ctx: Context, campaign: Campaign, changes: Mapping[str, Any]) -> Campaign:
    """Store an edit of the campaign as it was read. Raises StaleVersion where somebody else was first."""
    where = {"_id": campaign["_id"], "version": campaign["version"], "status": campaign["status"]}
    update = {"$set": {**changes, "updated_at": utcnow()}, "$inc": {"version": 1, "touched": 1}}
    found = await collection(ctx).find_one_and_update(where, update)
    if found is None:
        raise StaleVersion((await get(ctx, campaign["_id"]))["version"])
    return found


async def move(
    ctx: Context, campaign_id: str, come_from: tuple[str, ...], to: str, *, due: datetime | None = None, **changes: Any
) -> Campaign | None:
    """Move a campaign to another status and have a dispatcher look at it; None where it was in none of *come_from*."""
    now = utcnow()
    update = {
        "$set": {**changes, "status": to, "updated_at": now, "due_at": due or now},
        "$inc": {"touched": 1, "version": 1},
    }
    found = await collection(ctx).find_one_and_update({"_id": campaign_id, "status": {"$in": list(come_from)}}, update)
    if found is not None:
        await ctx.hub.publish("campaign", [campaign_id])
        ctx.wake.set()
    return found


async def wake(ctx: Context, campaign_id: str, *, account: str | None = None, slice_no: int | None = None) -> None:
    """Have a dispatcher look at a campaign now; a row made pending lowers the account's low-water mark."""
    if account is not None and slice_no is not None:
        mark = f"low.{account}"  # absent means 0, so it is lowered only where it is
        await collection(ctx).update_one({"_id": campaign_id, mark: {"$gt": slice_no}}, {"$set": {mark: slice_no}})
    await collection(ctx).update_one({"_id": campaign_id}, {"$min": {"due_at": utcnow()}, "$inc": {"touched": 1}})
    ctx.wake.set()
