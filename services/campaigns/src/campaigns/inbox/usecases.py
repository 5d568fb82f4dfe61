"""Answering, and keeping order in the inbox."""

from collections.abc import Iterable
from typing import Any

from contracts.channels import Channel
from contracts.commands import Content, Recipient, Thread
from pydantic import BaseModel, ConfigDict, Field
from servicekit.clock import utcnow
from servicekit.errors import Conflict, Invalid, NotFound
from servicekit.mongo import DuplicateKey, UpdateOne
from servicekit.pagination import Page

from campaigns import paging
from campaigns.contacts import addresses
from campaigns.contacts import domain as contacts
from campaigns.context import Context
from campaigns.inbox import domain, history, store
from campaigns.media import usecases as media
from campaigns.suppression import usecases as suppression

Document = dict[str, Any]
MAX_TEXT = 200_000


class ReplyInput(BaseModel):
    """An answer."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(default="", max_length=MAX_TEXT)
    html: str | None = Field(default=None, max_length=MAX_TEXT)
    subject: str | None = Field(default=None, max_length=2000, description="E-mail; `Re: …` where absent")
    attachments: list[str] = Field(default_factory=list, max_length=20, description="Ids of /v1/media")
    client_id: str | None = Field(default=None, max_length=200, description="In place of Idempotency-Key")


async def messages(ctx: Context, conversation_id: str, cursor: str | None, limit: int) -> Page[Document]:
    """Return a conversation's messages, newest first. Raises NotFound."""
    await store.get(ctx, conversation_id)
    where = {"conversation": conversation_id}
    page = await paging.newest_first(
        ctx.db["messages"],
        where,
        key="ms",
        cursor=cursor,
        limit=limit,
        window=paging.EVERYTHING,
        highest=paging.EVERYTHING,
    )
    return page.model_copy(update={"items": await history.with_words(ctx, page.items)})


async def attachment(ctx: Context, conversation_id: str, message_id: str, index: int) -> Document:
    """Return the file at *index* of a message. Raises NotFound."""
    found = await ctx.db["messages"].find_one({"_id": message_id, "conversation": conversation_id})
    files = (await history.with_words(ctx, [found]))[0].get("attachments") or [] if found else []
    if not 0 <= index < len(files):
        raise NotFound("there is no such attachment")
    file: Document = files[index]
    return file


async def reply(ctx: Context, conversation_id: str, given: ReplyInput, key: str, by: str) -> Document:
    """Answer; the same *key* again is the same answer. Returns the message with its state.

    Raises Invalid for an empty answer or an unknown file, Conflict with the reason where the person is blocked, the
    address bounces, or the account is deleted. The message is stored before the row: `resume` finishes what a crash leaves between the two.
    """
    conversation = await store.get(ctx, conversation_id)
    message_id = domain.reply_id(conversation_id, key)
    found = await ctx.db["messages"].find_one({"_id": message_id})
    if found is None:
        found = await _new_reply(ctx, conversation, message_id, given, by)
    if found.get("unsent"):
        found = await send(ctx, found)
    await ctx.hub.publish("conversation", [conversation_id])
    return found


async def _new_reply(ctx: Context, conversation: Document, message_id: str, given: ReplyInput, by: str) -> Document:
    if not given.text.strip() and not (given.html or "").strip() and not given.attachments:
        raise Invalid({"text": "is empty"})
    why = await suppression.forbids_reply(ctx, conversation["channel"], conversation["address"])
    if why:
        raise Conflict(f"{conversation['address']} is {why}: an answer would not arrive", reason=f"address_{why}")
    if await _account_gone(ctx, conversation):
        raise Conflict("the account of this conversation is deleted: nothing can be sent", reason="account_deleted")
    last = await store.last_inbound(ctx, conversation["_id"])
    content = Content(
        subject=_subject(conversation, given, last),
        text=given.text,
        html=given.html,
        attachments=await media.attachments(ctx, given.attachments),
    )
    made = store.outgoing(message_id, conversation, content, by)
    thread = domain.thread_of(last)
    made |= {"unsent": True, "thread": thread.model_dump() if thread else None}
    try:
        await ctx.db["messages"].insert_one(made)
    except DuplicateKey:  # pressed twice at once: the other one stored it
        return await ctx.db["messages"].find_one({"_id": message_id}) or made
    line = domain.preview(None, given.text, files=made["attachments"])
    await ctx.db["conversations"].bulk_write([store.latest(conversation["_id"], made["at"], line, "out")])
    return made


async def _account_gone(ctx: Context, conversation: Document) -> bool:
    """Return whether the account is known to be deleted; one that is merely not seen yet is not."""
    from campaigns.dispatch.gone import GONE  # noqa: PLC0415  # dispatching tells the inbox

    desired = ctx.accounts.desired(Channel(conversation["channel"]), conversation["account"])
    if desired is not None:
        return desired.status == "deleting"
    return await ctx.db[GONE].find_one({"_id": conversation["account"]}) is not None


def _subject(conversation: Document, given: ReplyInput, last: Document | None) -> str | None:
    if conversation["channel"] != Channel.EMAIL:
        return None
    return given.subject or domain.reply_subject((last or {}).get("subject") or conversation.get("subject"))


async def send(ctx: Context, message: Document) -> Document:
    """Give a stored answer its row in the outbox; safe to repeat. Returns the message."""
    from campaigns.outbox import direct  # noqa: PLC0415  # the outbox tells the inbox, and this one tells it

    conversation = await store.get(ctx, message["conversation"])
    row = await direct.enqueue(
        ctx,
        account_id=message["account"],
        channel=Channel(message["channel"]),
        kind="reply",
        to=Recipient(address=conversation["address"], name=conversation["name"] or None),
        content=Content.model_validate({n: message[n] for n in ("subject", "text", "html", "attachments")}),
        thread=Thread.model_validate(message["thread"]) if message.get("thread") else None,
        key=message["_id"],
        conversation_id=conversation["_id"],
    )
    await ctx.db["messages"].update_one({"_id": message["_id"]}, {"$set": {"row": row}, "$unset": {"unsent": ""}})
    await reply_state(ctx, [(row, "", "")])  # the outcome may have been faster than this line
    return await ctx.db["messages"].find_one({"_id": message["_id"]}) or message


async def record_own(ctx: Context, conversation_id: str, row_id: str, content: Content, by: str = "automation") -> None:
    """Show a message that has its row already (an automation's) in the conversation; safe to repeat."""
    conversation = await store.get(ctx, conversation_id)
    made = {**store.outgoing(f"row-{row_id}", conversation, content, by), "row": row_id}
    try:
        await ctx.db["messages"].insert_one(made)
    except DuplicateKey:
        return
    line = domain.preview(content.subject, content.text)
    await ctx.db["conversations"].bulk_write([store.latest(conversation_id, made["at"], line, "out")])
    await reply_state(ctx, [(row_id, "", "")])


async def reply_state(ctx: Context, changes: Iterable[tuple[str, str, str]]) -> None:
    """Show what became of our answers: (row, state, reason). The row itself is read, so calls in any order end right."""
    wanted = sorted({row for row, _, _ in changes})
    if not wanted:
        return
    fields = {"state": 1, "reason": 1, "detail": 1, "bounced": 1, "updated_at": 1}
    rows = await ctx.db["rows"].find_list({"_id": {"$in": wanted}}, fields, limit=len(wanted))
    writes = [
        UpdateOne(
            {"row": row["_id"], "$or": [{"state_at": None}, {"state_at": {"$lte": row["updated_at"]}}]}, _state(row)
        )
        for row in rows
    ]
    if not writes:
        return
    done = await ctx.db["messages"].bulk_write(writes)
    if done.matched_count:
        shown = await ctx.db["messages"].find_list({"row": {"$in": wanted}}, {"conversation": 1}, limit=len(wanted))
        await ctx.hub.publish("conversation", sorted({str(one["conversation"]) for one in shown}))


def _state(row: Document) -> Document:
    names = ("state", "reason", "detail", "bounced")
    return {"$set": {**{n: row.get(n) for n in names}, "state_at": row["updated_at"]}}


async def talks_with(ctx: Context, channel: str, wanted: Iterable[str]) -> dict[str, str]:
    """Return address → account for those of these addresses who already talk to one of our accounts, the latest one."""
    listed_addresses = list(wanted)
    found = ctx.db["conversations"].find(
        {"address": {"$in": listed_addresses}, "channel": channel}, {"address": 1, "account": 1, "last_ms": 1}
    )
    ordered = sorted([one async for one in found], key=lambda one: one["last_ms"])
    return {str(one["address"]): str(one["account"]) for one in ordered}


async def assign(ctx: Context, conversation_id: str, assignee: str | None, version: int | None = None) -> Document:
    """Give a conversation to somebody (None: to nobody); it is open then. Raises NotFound, Conflict."""
    who = addresses.one_line(assignee)[:200] if assignee else None
    return await store.change(ctx, conversation_id, {"$set": {"assignee": who or None, "closed": None}}, version)


async def close(ctx: Context, conversation_id: str, closed: str | None, version: int | None = None) -> Document:
    """Resolve or archive a conversation, or (None) open it again. A new message opens it by itself."""
    return await store.change(ctx, conversation_id, {"$set": {"closed": closed}}, version)


async def mark_read(ctx: Context, conversation_id: str) -> Document:
    """Say that a person has seen everything so far."""
    return await store.change(ctx, conversation_id, {"$set": {"unread": 0}})


async def note(ctx: Context, conversation_id: str, text: str, by: str, note_id: str) -> Document:
    """Add a note for colleagues; the same *note_id* again adds nothing. Raises Invalid, NotFound."""
    if not text.strip():
        raise Invalid({"text": "is empty"})
    made = {"id": note_id, "text": text, "by": by, "at": utcnow()}
    await store.get(ctx, conversation_id)
    await ctx.db["conversations"].update_one(
        {"_id": conversation_id, "notes.id": {"$ne": note_id}}, {"$push": {"notes": made}, "$inc": {"version": 1}}
    )
    await ctx.hub.publish("conversation", [conversation_id])
    return await store.get(ctx, conversation_id)


async def remove_note(ctx: Context, conversation_id: str, note_id: str) -> Document:
    """Remove a note."""
    return await store.change(ctx, conversation_id, {"$pull": {"notes": {"id": note_id}}})


async def retag(ctx: Context, conversation_id: str, add: list[str], remove: list[str]) -> Document:
    """Add and remove tags of a conversation (not of its contact). Raises Invalid, NotFound."""
    try:
        added, removed = ({contacts.tag(t) for t in texts} for texts in (add, remove))
    except ValueError as error:
        raise Invalid({"tags": str(error)}) from error
    if added:
        await store.change(ctx, conversation_id, {"$addToSet": {"tags": {"$each": sorted(added)}}})
    if removed:
        await store.change(ctx, conversation_id, {"$pull": {"tags": {"$in": sorted(removed)}}})
    return await store.get(ctx, conversation_id)
