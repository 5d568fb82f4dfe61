"""Which of our messages an inbound one answers: named by the platform's ids, or on chat channels the last one sent."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from contracts.channels import Channel
from contracts.inbox import Received
from servicekit.clock import utcnow

from campaigns.context import Context

Document = dict[str, Any]
_FIELDS = {"campaign": 1, "kind": 1, "contact": 1, "sent_at": 1, "queued_at": 1, "to": 1}
_SENT = ("sent", "delivered", "read")
_TICK = timedelta(milliseconds=1)
"""What the order of messages is kept in."""
_WHOLE_SECONDS = timedelta(seconds=1)
"""Telegram and WhatsApp give a message's time in whole seconds: an answer within the second seems older than its question."""
CHAT_DAYS = 14
"""How long after a campaign's message a chat message counts as an answer to it."""


async def answered(ctx: Context, messages: Sequence[Received]) -> dict[str, Document]:
    """Return message id → the row it answers."""
    wanted = sorted({m.answers_row for m in messages if m.answers_row})
    found = await ctx.db["rows"].find_list({"_id": {"$in": wanted}}, _FIELDS, limit=len(wanted)) if wanted else []
    by_id = {str(row["_id"]): row for row in found}
    result = {m.id: by_id[m.answers_row] for m in messages if m.answers_row in by_id}
    for message in messages:
        if message.channel != Channel.EMAIL and not message.own and message.id not in result:
            row = await _last_sent(ctx, message)
            if row is not None:
                result[message.id] = row
    return result


async def _last_sent(ctx: Context, message: Received) -> Document | None:
    """Return the message to this peer that is quoted, else the last campaign's: chats seldom say what they answer."""
    if message.references:
        named = {"key": message.conversation.casefold(), "account": message.account_id}
        quoted = await ctx.db["rows"].find_one({**named, "platform_ids": {"$in": message.references}}, _FIELDS)
        if quoted is not None:
            return quoted
    since = message.at - timedelta(days=CHAT_DAYS)
    where = {
        "key": message.conversation.casefold(),
        "account": message.account_id,
        "kind": "campaign",
        "state": {"$in": list(_SENT)},
        "sent_at": {"$gte": since, "$lt": message.at + _WHOLE_SECONDS},
    }
    return await ctx.db["rows"].find_one(where, _FIELDS, sort=[("sent_at", -1)])


def went_out(row: Document) -> datetime | None:
    """Return when a row was sent, as far as it is known yet."""
    at: datetime | None = row.get("sent_at") or row.get("queued_at")
    return at


def in_order(message: Received, row: Document | None) -> Received:
    """Return the message with the moment it is filed under: not in the future, and behind what it answers.

    A message from the future (a wrong clock) would stay on top for ever, and an e-mail's Date has whole seconds: an
    answer written within the second would stand before its question.
    """
    at, sent = min(message.at, utcnow()), went_out(row) if row else None
    at = max(at, sent + _TICK) if sent else at
    return message.model_copy(update={"at": at})


def is_answer(message: Received, row: Document | None) -> bool:
    """Return whether a person answered *row*: neither the owner nor a machine does."""
    return row is not None and not message.auto_reply and not message.own


def campaign_of(message: Received, row: Document | None) -> str | None:
    """Return the campaign that was answered, by a person or a machine; an answer to our own answer has none."""
    if row is None or message.own:
        return None
    return str(row["campaign"]) if row["kind"] == "campaign" else None
