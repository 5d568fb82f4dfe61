"""Conversations and messages in the store."""

from datetime import datetime
from typing import Any

from contracts.commands import Content
from contracts.inbox import Received
from servicekit.clock import utcnow
from servicekit.errors import NotFound, StaleVersion
from servicekit.mongo import IndexModel, UpdateOne, ensure_indexes

from campaigns.context import Context
from campaigns.inbox import domain

Document = dict[str, Any]


INDEXED = ("last_ms", "address", "begins", "tags", "campaigns", "assignee", "closed", "account", "channel")


async def prepare(ctx: Context) -> None:
    """Create the indexes."""
    await ensure_indexes(ctx.db["conversations"], [IndexModel(name) for name in INDEXED])
    await ensure_indexes(
        ctx.db["messages"],
        [
            IndexModel("conversation"),
            IndexModel("row", sparse=True),
            IndexModel("unsent", sparse=True),
            IndexModel("objects", sparse=True),
        ],
    )
    await ensure_indexes(ctx.db["quick_replies"], [IndexModel("shortcut", unique=True)])


def message_of(received: Received, conversation: str) -> Document:
    """Return an inbound message as it is stored first; `applied` becomes true when its effects are all there."""
    content = received.model_dump(
        mode="json", include={"subject", "text", "html", "attachments", "references", "platform_id", "stub"}
    )
    return with_objects({
        "_id": received.id, "conversation": conversation, "account": received.account_id,
        "channel": str(received.channel), "direction": domain.direction(received), "at": received.at,
        "ms": domain.milliseconds(received.at), **content, "auto_reply": received.auto_reply,
        "sender": received.sender.model_dump(), "answers_row": received.answers_row, "campaign": None,
        "applied": False, "created_at": utcnow(),
    })  # fmt: skip


def outgoing(message_id: str, conversation: Document, content: Content, by: str) -> Document:
    """Return one of our own messages as it is stored first."""
    now = utcnow()
    return with_objects({
        "_id": message_id, "conversation": conversation["_id"], "account": conversation["account"],
        "channel": conversation["channel"], "direction": "out", "at": now, "ms": domain.milliseconds(now),
        **content.model_dump(mode="json", include={"subject", "text", "html", "attachments"}),
        "platform_id": "", "references": [], "stub": None, "auto_reply": False, "campaign": None, "by": by,
        "state": "pending", "reason": "", "detail": "", "applied": True, "created_at": now,
    })  # fmt: skip


def with_objects(message: Document) -> Document:
    """Return the message naming what it keeps in the media store, so that it is not collected as an orphan."""
    objects = [file["object"] for file in message["attachments"]]
    return {**message, "objects": objects} if objects else message


def new_conversation(received: Received, contact: str | None) -> Document:
    """Return what a conversation is when it begins."""
    name = "" if received.own else (received.sender.name or "")
    search = domain.search_keys(name, received.conversation)
    return {
        "account": received.account_id, "channel": str(received.channel), "address": received.conversation,
        "name": name, "contact": contact, "closed": None, "assignee": None, "unread": 0, "last_at": received.at,
        "last_ms": 0, "shown_ms": 0, "preview": "", "last_direction": "", "subject": received.subject, "campaigns": [], "tags": [],
        "notes": [], "search": search, "begins": domain.begins(search), "applied": [], "version": 1,
        "created_at": utcnow(),
    }  # fmt: skip


def effects(received: Received, conversation: str, campaign: str | None) -> list[UpdateOne]:
    """Return the writes of one inbound message: the first at most once ever, the second the same however often."""
    counts = not received.own and not received.auto_reply
    once: Document = {"$push": {"applied": {"$each": [received.id], "$slice": -domain.REMEMBERED}}}
    if counts:
        once |= {"$inc": {"unread": 1, "version": 1}, "$set": {"closed": None}}
    if campaign:
        once["$addToSet"] = {"campaigns": campaign}
    guard = {"_id": conversation, "applied": {"$ne": received.id}}
    files = [file.model_dump() for file in received.attachments]
    line = domain.preview(received.subject, received.text, received.stub, files)
    return [UpdateOne(guard, once), latest(conversation, received.at, line, domain.direction(received))]


def latest(conversation: str, at: datetime, line: str, direction: str) -> UpdateOne:
    """Return the write that shows a message in the list, unless a later one is shown already.

    What an older version stored has no `shown_ms` until `upgrade` gives it one.
    """
    shown = shown_as(at, line, direction)
    return UpdateOne({"_id": conversation, "shown_ms": {"$not": {"$gt": shown["shown_ms"]}}}, {"$set": shown})


def shown_as(at: datetime, line: str, direction: str) -> Document:
    """Return what a list shows of a conversation's newest message.

    `shown_ms` is `last_ms` without an index: beside an id the embedded stores would take the range of an indexed field.
    """
    ms = domain.milliseconds(at)
    return {"last_at": at, "last_ms": ms, "shown_ms": ms, "preview": line, "last_direction": direction}


async def get(ctx: Context, conversation_id: str) -> Document:
    """Return a conversation. Raises NotFound."""
    found = await ctx.db["conversations"].find_one({"_id": conversation_id})
    if found is None:
        raise NotFound(f"there is no conversation {conversation_id}")
    return found


async def change(ctx: Context, conversation_id: str, update: Document, version: int | None = None) -> Document:
    """Return the conversation after *update*; at *version* only, if given. Raises NotFound, StaleVersion."""
    where: Document = {"_id": conversation_id, **({"version": version} if version is not None else {})}
    update = {**update, "$inc": {**update.get("$inc", {}), "version": 1}}
    found = await ctx.db["conversations"].find_one_and_update(where, update)
    if found is None:
        raise StaleVersion((await get(ctx, conversation_id))["version"])
    await ctx.hub.publish("conversation", [conversation_id])
    return found


async def last_inbound(ctx: Context, conversation_id: str) -> Document | None:
    """Return the newest message of the other side that was not taken back."""
    where = {"conversation": conversation_id, "direction": "in", "deleted_at": None}
    return await ctx.db["messages"].find_one(where, {"html": 0, "text": 0, "former": 0}, sort=[("ms", -1)])
