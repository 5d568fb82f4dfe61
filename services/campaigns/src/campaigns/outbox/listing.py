"""The outbox as a list: newest first, by what rows are, or by the beginning of the recipient's address or name."""

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, Field
from servicekit.errors import Invalid, Permanent
from servicekit.pagination import Page, decode_cursor, encode_cursor

from campaigns import paging
from campaigns.accounts import Accounts
from campaigns.campaign.content import compiled
from campaigns.campaign.store import collection
from campaigns.context import Context
from campaigns.outbox import searching
from campaigns.outbox.rows import EPOCH, Row, first_line
from campaigns.outbox.zones import Asked

_HIDDEN = frozenset({"name_key", "vars", "slice", "key", "content", "thread"})


class OutboxFilter(BaseModel):
    """What to list. `since` and `until` are about when the row was made."""

    state: list[str] = Field(default_factory=list)
    account: str | None = None
    campaign: str | None = None
    channel: str | None = None
    kind: str | None = None
    q: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    bounced: bool | None = None
    answered: bool | None = None
    cursor: str | None = None
    limit: int = 50


async def listed(ctx: Context, wanted: OutboxFilter) -> Page[Row]:
    """Return a page of rows as people see them. Raises Invalid for a cursor that is not ours."""
    where, below, count = _where(wanted), await _below(ctx, wanted.cursor), wanted.limit + 1
    if text := (wanted.q or "").strip().casefold():
        rows = await searching.named(ctx, where, text, below, count)
    else:
        rows = await searching.newest(ctx, where, _asked(wanted, where), below, count)
    more, rows = len(rows) > wanted.limit, rows[: wanted.limit]
    flying, words = in_flight(ctx.accounts), await _words(ctx, rows)
    shown_rows = [{**shown(row, flying), **words[row["_id"]]} for row in rows]
    return Page(items=shown_rows, next_cursor=encode_cursor(rows[-1]["seq"]) if more else None)


async def _below(ctx: Context, cursor: str | None) -> int:
    given = decode_cursor(cursor)
    if given is None:
        return await searching.top(ctx)
    if not isinstance(given, int) or not 0 <= given <= paging.EVERYTHING:
        raise Invalid({"cursor": "is not one of ours"})
    return given


def _asked(wanted: OutboxFilter, where: dict[str, Any]) -> Asked:
    """Return the filter as slices know it; what they do not know is left to the rows."""
    facts = [name for name in ("bounced", "answered") if getattr(wanted, name)]
    if wanted.kind:
        facts.append(f"kind-{wanted.kind}")
    states = tuple(where["state"]["$in"]) if "state" in where else ()
    return Asked(
        states, tuple(facts), wanted.campaign, wanted.account, wanted.channel, _utc(wanted.since), _utc(wanted.until)
    )


def _utc(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at


async def _words(ctx: Context, rows: list[Row]) -> dict[str, dict[str, Any]]:
    """Return each row's campaign by name, and subject and first line as its recipient gets them."""
    ids = {row["campaign"] for row in rows}
    found = collection(ctx).find({"_id": {"$in": sorted(ids)}, "kind": "campaign"})
    campaigns = {str(one["_id"]): one async for one in found}
    return {row["_id"]: _line(campaigns.get(row["campaign"]), row) for row in rows}


def _line(campaign: dict[str, Any] | None, row: Row) -> dict[str, Any]:
    if campaign is None:
        return {"campaign_name": None}
    words = compiled(campaign)
    try:
        subject = words.subject.render(row["vars"], row["_id"]) if words.subject else None
        said = (template.render(row["vars"], row["_id"]) for template in (words.text, *words.bubbles))
        text = next((line for one in said if (line := first_line(one))), "")
    except Permanent as error:
        subject, text = None, error.detail
    return {"campaign_name": campaign["name"], "subject": subject, "text": text}


def _where(wanted: OutboxFilter) -> dict[str, Any]:
    where: dict[str, Any] = {
        name: value for name in ("account", "campaign", "channel", "kind") if (value := getattr(wanted, name))
    }
    if wanted.state:
        states = {"queued" if state == "sending" else state for state in wanted.state}
        where["state"] = {"$in": sorted(states)}
    created = {op: at for op, at in (("$gte", wanted.since), ("$lt", wanted.until)) if at}
    if created:
        where["created_at"] = created
    for name, field in (("bounced", "bounced"), ("answered", "answered_at")):
        if (flag := getattr(wanted, name)) is not None:
            where[field] = {"$ne": None} if flag else None
    return where


def in_flight(accounts: Accounts) -> set[str]:
    """Return the attempts that sessions report as being sent now."""
    return {attempt for session in accounts.sessions() for attempt in session.in_flight}


def shown(row: Row, flying: set[str]) -> dict[str, Any]:
    """Return a row for people: `sending` where its attempt is in flight, no time where it may go at once."""
    made = {("id" if name == "_id" else name): value for name, value in row.items() if name not in _HIDDEN}
    if made["state"] == "queued" and f"{row['_id']}.{row['k']}" in flying:
        made["state"] = "sending"
    made["not_before"] = None if made["not_before"] == EPOCH else made["not_before"]
    made.pop("seq", None)
    return made
