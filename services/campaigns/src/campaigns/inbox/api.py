"""The inbox over HTTP. `router` holds conversations and quick replies."""

import secrets
from typing import Annotated, Any

import nh3
from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from servicekit.errors import Invalid
from servicekit.pagination import Page
from servicekit.versions import version_of

from campaigns.contacts import usecases as contacts
from campaigns.http import Ctx, Cursor, IfMatch, Limit, Operator, Viewer, etag, shown
from campaigns.inbox import domain, listing, quick_replies, store, usecases
from campaigns.inbox.listing import ConversationFilter
from campaigns.inbox.usecases import ReplyInput
from campaigns.media import usecases as media
from campaigns.media.api import as_download
from campaigns.suppression import usecases as suppression

conversations = APIRouter(prefix="/v1/conversations", tags=["inbox"])
_TAGS = nh3.ALLOWED_TAGS - {"img"}  # a picture from outside tells its sender that, when and where it was read
_HIDDEN = ("applied", "last_ms", "shown_ms", "search", "begins")
_BODY_HIDDEN = ("applied", "objects", "ms", "unsent", "thread", "state_at", "references", "platform_id", "edits")
REPLY_BYTES = 2 << 20


class Assignment(BaseModel):
    """Whose conversation it is; without `assignee` it is the caller's."""

    model_config = ConfigDict(extra="forbid")
    assignee: str | None = Field(default=None, max_length=200)


class NewNote(BaseModel):
    """A note for colleagues; the same `client_id` again adds nothing."""

    model_config = ConfigDict(extra="forbid")
    text: str = Field(min_length=1, max_length=20_000)
    client_id: str | None = Field(default=None, max_length=100)


class TagChange(BaseModel):
    """Tags to add and to remove."""

    model_config = ConfigDict(extra="forbid")
    add: list[str] = Field(default_factory=list, max_length=50)
    remove: list[str] = Field(default_factory=list, max_length=50)


@conversations.get("")
async def list_conversations(
    ctx: Ctx, _: Viewer, wanted: Annotated[ConversationFilter, Query()]
) -> Page[dict[str, Any]]:
    """List conversations, the one with the newest message first; tab all leaves the archived out."""
    found = await listing.listed(ctx, wanted)
    return Page(items=[_out(one) for one in found.items], next_cursor=found.next_cursor)


@conversations.get("/{conversation_id}")
async def read_conversation(ctx: Ctx, _: Viewer, conversation_id: str, response: Response) -> dict[str, Any]:
    """Return a conversation with its contact, and why its address is suppressed, if it is."""
    found = await store.get(ctx, conversation_id)
    response.headers.update(etag(found))
    contact = await contacts.require(ctx, found.get("contact"))
    details = shown(contact, without=("import",)) if contact else None
    why = await suppression.reason(ctx, found["channel"], found["address"])
    return {**_out(found), "contact_details": details, "suppressed": why}


@conversations.get("/{conversation_id}/messages")
async def list_messages(
    ctx: Ctx, _: Viewer, conversation_id: str, cursor: Cursor = None, limit: Limit = 50
) -> Page[dict[str, Any]]:
    """List its messages, newest first; HTML is cleaned of scripts, forms and pictures from outside.

    One that was edited on its platform has `edited_at` and its `former` texts, oldest first; one that was taken back
    keeps its text and has `deleted_at`. `direction`: in, out (by Kurir), own (by the owner from another device).
    """
    found = await usecases.messages(ctx, conversation_id, cursor, limit)
    return Page(items=[_message(one) for one in found.items], next_cursor=found.next_cursor)


@conversations.get("/{conversation_id}/messages/{message_id}/attachments/{index}")
async def download_attachment(
    ctx: Ctx, _: Viewer, conversation_id: str, message_id: str, index: int
) -> StreamingResponse:
    """Download what came with a message."""
    file = await usecases.attachment(ctx, conversation_id, message_id, index)
    stream = await media.content(ctx, file["object"])
    return as_download(stream, media.file_name(file["filename"]), file["content_type"], file["size"])


@conversations.post("/{conversation_id}/replies", status_code=201, max_body_size=REPLY_BYTES)
async def reply(
    *,
    ctx: Ctx,
    who: Operator,
    conversation_id: str,
    given: ReplyInput,
    key: Annotated[str | None, Header(alias="Idempotency-Key", max_length=200)] = None,
) -> dict[str, Any]:
    """Answer. Idempotency-Key (or `client_id`) is required: pressed twice, it is sent once."""
    chosen = key or given.client_id
    if not chosen:
        raise Invalid({"Idempotency-Key": "is required, as a header or as client_id"})
    return _message(await usecases.reply(ctx, conversation_id, given, chosen, who.subject))


@conversations.post("/{conversation_id}/assign")
async def assign(
    *, ctx: Ctx, who: Operator, conversation_id: str, given: Assignment, if_match: IfMatch = None
) -> dict[str, Any]:
    """Give it to somebody."""
    return _out(await usecases.assign(ctx, conversation_id, given.assignee or who.subject, _at(if_match)))


@conversations.post("/{conversation_id}/unassign")
async def unassign(ctx: Ctx, _: Operator, conversation_id: str, if_match: IfMatch = None) -> dict[str, Any]:
    """Give it to nobody."""
    return _out(await usecases.assign(ctx, conversation_id, None, _at(if_match)))


@conversations.post("/{conversation_id}/resolve")
async def resolve(ctx: Ctx, _: Operator, conversation_id: str, if_match: IfMatch = None) -> dict[str, Any]:
    """Close it; the next message opens it again."""
    return _out(await usecases.close(ctx, conversation_id, "resolved", _at(if_match)))


@conversations.post("/{conversation_id}/archive")
async def archive(ctx: Ctx, _: Operator, conversation_id: str, if_match: IfMatch = None) -> dict[str, Any]:
    """Put it away; the next message brings it back."""
    return _out(await usecases.close(ctx, conversation_id, "archived", _at(if_match)))


@conversations.post("/{conversation_id}/reopen")
async def reopen(ctx: Ctx, _: Operator, conversation_id: str, if_match: IfMatch = None) -> dict[str, Any]:
    """Open it again."""
    return _out(await usecases.close(ctx, conversation_id, None, _at(if_match)))


@conversations.post("/{conversation_id}/read")
async def mark_read(ctx: Ctx, _: Operator, conversation_id: str) -> dict[str, Any]:
    """Say that everything so far was seen."""
    return _out(await usecases.mark_read(ctx, conversation_id))


@conversations.post("/{conversation_id}/notes", status_code=201)
async def add_note(ctx: Ctx, who: Operator, conversation_id: str, given: NewNote) -> dict[str, Any]:
    """Add a note for colleagues."""
    note_id = given.client_id or secrets.token_hex(8)
    return _out(await usecases.note(ctx, conversation_id, given.text, who.subject, note_id))


@conversations.delete("/{conversation_id}/notes/{note_id}")
async def remove_note(ctx: Ctx, _: Operator, conversation_id: str, note_id: str) -> dict[str, Any]:
    """Remove a note."""
    return _out(await usecases.remove_note(ctx, conversation_id, note_id))


@conversations.post("/{conversation_id}/tags")
async def change_tags(ctx: Ctx, _: Operator, conversation_id: str, given: TagChange) -> dict[str, Any]:
    """Add and remove tags of the conversation."""
    return _out(await usecases.retag(ctx, conversation_id, given.add, given.remove))


def _at(if_match: str | None) -> int | None:
    """Return the version an action insists on; actions may come without one."""
    return version_of(if_match) if if_match else None


def _out(conversation: dict[str, Any]) -> dict[str, Any]:
    return {**shown(conversation, without=_HIDDEN), "status": domain.status(conversation)}


def _message(message: dict[str, Any]) -> dict[str, Any]:
    former = [{**one, "html": _clean(one["html"])} for one in message.get("former") or ()]
    changed = {"edited_at": None, "deleted_at": None, **shown(message, without=_BODY_HIDDEN)}
    return {**changed, "html": _clean(message.get("html")), "former": former}


def _clean(html: str | None) -> str | None:
    return nh3.clean(html, tags=_TAGS, url_schemes={"http", "https", "mailto", "tel"}) if html else html


prepare = store.prepare

router = APIRouter()
for part in (conversations, quick_replies.router):
    router.include_router(part)
