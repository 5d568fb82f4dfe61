"""Domain events are stored in the document that changed and relayed from there: no transaction, and none is lost."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from contracts.base import Message
from contracts.headers import cloud_event
from servicekit.clock import utcnow
from servicekit.mongo import Collection, IndexModel, ensure_indexes

from campaigns.context import Context

_collections: set[str] = set()
_REST_SECONDS = 1.0


def register(collection: str) -> None:
    """Have the documents of *collection* looked at for events."""
    _collections.add(collection)


def event(subject: str, message: Message, event_id: str) -> dict[str, Any]:
    """Return what to `$push` onto `pending_events`; *event_id* deduplicates, so derive it from what happened."""
    headers = cloud_event(message, event_id, "campaigns")
    return {"id": event_id, "subject": subject, "headers": headers, "data": message.model_dump_json()}


def pushed(*events: Mapping[str, Any], now: datetime | None = None) -> dict[str, Any]:
    """Return an update that stores the events; merge it with the change itself: `{"$set": {**change, **u["$set"]}, …}`."""
    return {"$push": {"pending_events": {"$each": list(events)}}, "$set": {"relay_at": now or utcnow()}}


async def prepare(ctx: Context) -> None:
    """Create the index by which waiting documents are found."""
    for name in _collections:
        await ensure_indexes(ctx.db[name], [IndexModel("relay_at", sparse=True)])


async def run(ctx: Context) -> None:
    """Relay for ever; a background task."""
    while True:
        moved = 0
        for name in sorted(_collections):
            moved += await relay_once(ctx, ctx.db[name])
        if not moved:
            await asyncio.sleep(_REST_SECONDS)


async def relay_once(ctx: Context, collection: Collection) -> int:
    """Publish what waits, oldest first, at most 100 documents; return how many documents had something."""
    found = await collection.find_list(
        {"relay_at": {"$lte": utcnow()}}, {"pending_events": 1, "relay_at": 1}, limit=100
    )
    for document in found:
        await _relay(ctx, collection, document)
    return len(found)


async def _relay(ctx: Context, collection: Collection, document: dict[str, Any]) -> None:
    waiting = document.get("pending_events") or []
    for stored in waiting:
        data, headers = stored["data"].encode(), stored["headers"]
        await ctx.bus.publish(stored["subject"], data, msg_id=stored["id"], headers=headers)
    done = [stored["id"] for stored in waiting]
    await collection.update_one({"_id": document["_id"]}, {"$pull": {"pending_events": {"id": {"$in": done}}}})
    # an event added meanwhile has moved relay_at on, and keeps it
    await collection.update_one(
        {"_id": document["_id"], "relay_at": document["relay_at"], "pending_events": []}, {"$unset": {"relay_at": ""}}
    )
