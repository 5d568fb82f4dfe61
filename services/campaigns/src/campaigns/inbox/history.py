"""What a campaign's message said: kept once, as the campaign's words and its row's variables, and rendered to be read."""

from collections.abc import Sequence
from typing import Any

from contracts.commands import Content
from servicekit.errors import Permanent

from campaigns.campaign.content import compiled
from campaigns.campaign.store import collection
from campaigns.context import Context
from campaigns.outbox.rows import ROWS, Row

Document = dict[str, Any]


async def with_words(ctx: Context, messages: Sequence[Document]) -> list[Document]:
    """Return the messages, those of campaigns with what their recipient got. All others are whole already."""
    ids = sorted({str(m["campaign_row"]) for m in messages if m.get("campaign_row")})
    if not ids:
        return list(messages)
    rows = {str(r["_id"]): r for r in await ctx.db[ROWS].find_list({"_id": {"$in": ids}}, limit=len(ids))}
    wanted = sorted({str(row["campaign"]) for row in rows.values()})
    found = collection(ctx).find({"_id": {"$in": wanted}, "kind": "campaign"})
    campaigns = {str(one["_id"]): one async for one in found}
    return [_worded(message, rows.get(str(message.get("campaign_row"))), campaigns) for message in messages]


def _worded(message: Document, row: Row | None, campaigns: dict[str, Document]) -> Document:
    if row is None:
        return message
    campaign = campaigns.get(str(row["campaign"]))
    if campaign is None:  # another program's: only its subject and first line are known
        return {**message, "subject": row.get("subject"), "text": row.get("text") or ""}
    try:
        content = compiled(campaign).render(row["vars"], str(row["_id"]))
    except Permanent as error:
        return {**message, "text": error.detail}
    return {**message, **_fields(content)}


def _fields(content: Content) -> Document:
    """Return a content as a message of the inbox has it: bubbles one below the other."""
    text = "\n\n".join(part for part in (content.text, *content.bubbles) if part)
    return {**content.model_dump(mode="json", include={"subject", "html", "attachments"}), "text": text}
