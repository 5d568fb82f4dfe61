"""Rows: one message to one recipient for its whole life, and the states it passes (architecture 3.3)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from contracts.channels import Channel
from contracts.commands import Content, Kind, Thread
from servicekit.clock import utcnow

from campaigns.context import Context

Row = dict[str, Any]

ROWS = "rows"
SLICE_ROWS = 1_000
STATES = ("pending", "queued", "sent", "delivered", "read", "failed", "unknown", "cancelled")
ENDED = ("sent", "delivered", "read", "failed", "unknown", "cancelled")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""The `not_before` of a row that may go at once: a date, so that one comparison answers for all rows."""


def slice_of(campaign: str, account: str, number: int) -> str:
    """Return the key by which a stretch of a thousand rows is selected and marked."""
    return f"{campaign}.{account}.{number // SLICE_ROWS}"


def batch_of(campaign: str, k: int) -> str:
    """Return a batch's id."""
    return f"{campaign}.{k}"


def new_row(
    row: str,
    *,
    campaign: str,
    account: str,
    channel: Channel | str,
    kind: Kind,
    to: Mapping[str, Any],
    key: str,
    now: datetime | None = None,
) -> Row:
    """Return a pending row without its place: give it one with `placed` before it is stored."""
    now = now or utcnow()
    return {
        "_id": row, "campaign": campaign, "account": account, "channel": str(channel), "batch": None, "k": 0,
        "state": "pending", "kind": kind, "wanted": 0, "tries": 0, "not_before": EPOCH, "to": dict(to), "key": key,
        "name_key": name_key(to.get("name")), "contact": None, "vars": {}, "reason": "", "detail": "",
        "bounced": None, "answered_at": None, "created_at": now, "queued_at": None, "sent_at": None, "updated_at": now,
    }  # fmt: skip


def name_key(name: str | None) -> str | None:
    """Return what a row is found by beside its address: names are searched without regard to case."""
    return (name or "").casefold() or None


def placed(row: Row, number: int, seq: int) -> Row:
    """Return the row with its number within campaign and account, and its place in the outbox."""
    return {**row, "number": number, "slice": slice_of(row["campaign"], row["account"], number), "seq": seq}


def with_content(row: Row, content: Content, thread: Thread | None = None) -> Row:
    """Return a row of the campaign `direct`, which carries its own words."""
    return {
        **row,
        "content": content.model_dump(mode="json", exclude_defaults=True),
        "thread": thread.model_dump(mode="json") if thread else None,
        "subject": content.subject,
        "text": first_line(content.text or (content.bubbles[0] if content.bubbles else "")),
    }


def first_line(text: str) -> str:
    """Return what the outbox shows of a text, at most 200 characters."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")[:200]


def of_contact(row: Row, contact: str | None, variables: Mapping[str, str]) -> Row:
    """Return the row of a contact, with what templates may name of it."""
    return {**row, "contact": contact, "vars": dict(variables)}


async def reserve_seq(ctx: Context, count: int) -> int:
    """Reserve *count* places in the outbox and return the first; a crash leaves a gap."""
    found = await ctx.db["counters"].find_one_and_update({"_id": "rows"}, {"$inc": {"n": count}}, upsert=True)
    return int((found or {"n": count})["n"]) - count + 1
