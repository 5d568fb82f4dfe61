"""Edits and deletions of messages that came in. Both may come twice, in any order, and before their message."""

from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

from contracts.inbox import Deleted, Edited
from servicekit.errors import Retry
from servicekit.mongo import UpdateOne

from campaigns.context import Context
from campaigns.inbox import domain
from campaigns.outbox.again import Later

Document = dict[str, Any]
ATTEMPTS = 5
FORMER = 50
"""Former texts that are kept of a message: the first, and the last ones."""


async def apply(ctx: Context, changed: Sequence[Edited | Deleted], later: Later) -> None:
    """Do what was done on the platform, in the order it was heard in. One that came before its message comes again."""
    for one in changed:
        await (on_edited(ctx, one, later) if isinstance(one, Edited) else on_deleted(ctx, one, later))


async def on_edited(ctx: Context, edited: Edited, later: Later) -> None:
    """Show a message's new text and keep its former ones. Raises Retry where others keep changing it."""
    for _ in range(ATTEMPTS):
        found = await ctx.db["messages"].find_one({"_id": edited.id})
        early = found is None or not found["applied"]  # until it is, its first text may still be put into the list
        if (early and later(edited)) or found is None:
            return
        versions = with_edit(found, edited)
        if versions is not None and not await _written(ctx, found, versions):
            continue
        await _previewed(ctx, found, versions or _versions(found))
        await ctx.hub.publish("conversation", [found["conversation"]])
        return
    raise Retry(2, "the message is being changed by others")


def _versions(message: Document) -> list[Document]:
    at = message.get("edited_at") or message["at"]
    return [*(message.get("former") or ()), {"text": message["text"], "html": message["html"], "at": at}]


def with_edit(message: Document, edited: Edited) -> list[Document] | None:
    """Return a message's texts, oldest first, this one among them; None where it says nothing new.

    Edits are ordered by their time (platforms count in seconds: of the same second the last heard is the newest), and
    the first text stays the first, whatever its time: a message is filed behind what it answers.
    """
    first, *edits = _versions(message)
    new = {"text": edited.text, "html": edited.html, "at": _milliseconds(edited.at)}
    before = [one for one in edits if one["at"] <= new["at"]]
    last = before[-1] if before else first
    if new in edits or (last["text"], last["html"]) == (new["text"], new["html"]):
        return None
    edits = sorted([*edits, new], key=itemgetter("at"))
    return [first, *edits[-FORMER:]]


def _milliseconds(at: datetime) -> datetime:
    """Return a moment as the store keeps it."""
    return at.replace(microsecond=at.microsecond // 1_000 * 1_000)


async def _written(ctx: Context, found: Document, versions: list[Document]) -> bool:
    *former, now = versions
    where = {"_id": found["_id"], "edits": found.get("edits")}
    fields = {
        "edits": found.get("edits", 0) + 1,
        "text": now["text"],
        "html": now["html"],
        "edited_at": now["at"],
        "former": former,
    }
    return (await ctx.db["messages"].update_one(where, {"$set": fields})).matched_count > 0


async def _previewed(ctx: Context, message: Document, versions: list[Document]) -> None:
    """Let the list show the new text, where it shows the message; done again by whoever finds the edit known."""
    *former, now = [_line({**message, **one}) for one in versions]
    if now not in former and not message.get("deleted_at"):
        await ctx.db["conversations"].bulk_write([_shows(message, former, now)])


def _shows(message: Document, before: list[str], now: str) -> UpdateOne:
    where = {"_id": message["conversation"], "shown_ms": message["ms"], "preview": {"$in": before}}
    return UpdateOne(where, {"$set": {"preview": now}})


async def on_deleted(ctx: Context, deleted: Deleted, later: Later) -> None:
    """Mark messages that were taken back: what they said is kept. Unknown ones are no conversation of ours."""
    ids = set(deleted.ids)
    found = await ctx.db["messages"].find_list({"_id": {"$in": sorted(ids)}}, limit=len(ids))
    if len(found) < len(ids) or not all(one["applied"] for one in found):
        later(deleted)
    if not found:
        return
    await ctx.db["messages"].update_many(
        {"_id": {"$in": [one["_id"] for one in found]}, "deleted_at": None},
        {"$set": {"deleted_at": deleted.at}},
    )
    gone = domain.preview(None, "", "deleted")
    shown = [_shows(one, [_line(one)], gone) for one in found]
    await ctx.db["conversations"].bulk_write(shown)
    await ctx.hub.publish("conversation", sorted({str(one["conversation"]) for one in found}))


def _line(message: Document) -> str:
    return domain.preview(message["subject"], message["text"], message["stub"], message["attachments"])
