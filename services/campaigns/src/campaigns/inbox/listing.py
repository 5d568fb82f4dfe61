"""Conversations as a list, the one with the newest message first.

No store here stops reading at `limit`, so a page is looked for along the time, a bounded number of conversations at a
time; what does not fill it that way is rare, and one index finds all of it. Every query names one indexed field alone:
beside others the embedded stores may take the wider index.
"""

import heapq
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, Field
from servicekit.clock import utcnow
from servicekit.errors import Invalid
from servicekit.pagination import MAX_PAGE, Page, decode_cursor, encode_cursor

from campaigns import paging
from campaigns.contacts import addresses
from campaigns.context import Context
from campaigns.inbox import domain

Document = dict[str, Any]
Key = tuple[int, str]
"""Where a conversation stands in the list: the milliseconds of its newest message, and its id."""

HOUR_MILLISECONDS = 3_600_000
STEP = 1_000
"""Conversations looked at in one go, about."""
BUDGET = 3_000
"""Conversations looked at along the time before an index is asked: 20 ms of a fast store, 150 of the slowest."""
_GROWTH = 3


class ConversationFilter(BaseModel):
    """Which conversations to list."""

    tab: str = "all"
    channel: str = ""
    account: str = ""
    campaign: str = ""
    tag: str = ""
    assignee: str = ""
    q: str = Field(default="", max_length=320, description="Beginning of a name or address")
    cursor: str | None = Field(default=None, max_length=500)
    limit: int = Field(default=50, ge=1, le=MAX_PAGE)

    @property
    def text(self) -> str:
        """Return what names and addresses begin with."""
        return addresses.one_line(self.q).casefold()


async def listed(ctx: Context, wanted: ConversationFilter) -> Page[Document]:
    """Return a page. Raises Invalid for an unknown tab, or a cursor that is not ours."""
    if wanted.tab not in domain.TABS:
        raise Invalid({"tab": f"is one of {', '.join(domain.TABS)}"})
    below, count = _below(wanted.cursor), wanted.limit + 1
    found, below = await _along(ctx, wanted, below, count)
    if len(found) < count and below[0] >= 0:
        found += await _by_index(ctx, wanted, below, count - len(found))
    more, found = len(found) > wanted.limit, found[: wanted.limit]
    ids = [name for _, name in found]
    stored = {str(c["_id"]): c for c in await ctx.db["conversations"].find_list({"_id": {"$in": ids}}, limit=len(ids))}
    items = [stored[name] for name in ids if name in stored]
    return Page[Document](items=items, next_cursor=encode_cursor(list(found[-1])) if more else None)


def _below(cursor: str | None) -> Key:
    match decode_cursor(cursor):
        case None:
            return domain.milliseconds(utcnow()) + HOUR_MILLISECONDS, ""
        case [int(number), str(last_id)] if 0 <= number <= paging.EVERYTHING:
            return number, last_id
    raise Invalid({"cursor": "is not one of ours"})


async def _along(
    ctx: Context, wanted: ConversationFilter, below: Key, count: int, budget: float = BUDGET
) -> tuple[list[Key], Key]:
    """Look backwards in time; return what matches, and below which key nothing was looked at (-1: all was)."""
    found: list[Key] = []
    window, left = HOUR_MILLISECONDS, budget
    while below[0] >= 0 and len(found) < count and left > 0:
        high = below[0] if below[1] else below[0] - 1
        low = max(0, high - window + 1)
        seen = await _read(ctx, wanted, {"last_ms": {"$gte": low, "$lte": high}})
        part = _matching(seen, wanted, below)
        found, left = found + heapq.nlargest(count - len(found), part), left - len(seen)
        window = _next(window, len(seen), len(part), count - len(found))
        below = (low, "") if low else (-1, "")
    return found, below


def _next(window: int, seen: int, matched: int, missing: int) -> int:
    """Return the next window: wide enough for what is missing, at the same density, but for no more than STEP."""
    if not seen:
        return window * _GROWTH
    likely = min(STEP, max(1, missing) * 1.5 * seen / max(1, matched))
    return max(1_000, min(window * _GROWTH, int(window * likely / seen)))


async def _by_index(ctx: Context, wanted: ConversationFilter, below: Key, count: int) -> list[Key]:
    """Return the rest by the narrowest index there is; without one, look on along the time."""
    if (where := narrowest(wanted)) is None:
        return (await _along(ctx, wanted, below, count, float("inf")))[0]
    return heapq.nlargest(count, _matching(await _read(ctx, wanted, where), wanted, below))


def narrowest(wanted: ConversationFilter) -> Document | None:
    """Return the one condition on an indexed field that most likely has the fewest matches."""
    if wanted.text:
        return {"begins": domain.begins_with(wanted.text)}
    given = {"tags": wanted.tag, "campaigns": wanted.campaign, "assignee": wanted.assignee}
    given["closed"] = wanted.tab if wanted.tab in ("resolved", "archived") else ""
    given |= {"account": wanted.account, "channel": wanted.channel}
    named = next(({name: value} for name, value in given.items() if value), None)
    return {"assignee": {"$gt": ""}} if named is None and wanted.tab == "assigned" else named


async def _read(ctx: Context, wanted: ConversationFilter, where: Mapping[str, Any]) -> list[Document]:
    fields = ["last_ms", "closed", "assignee", *(n for n in ("account", "channel") if getattr(wanted, n))]
    asked = {"campaigns": wanted.campaign, "tags": wanted.tag, "search": wanted.text}
    fields += [name for name, value in asked.items() if value]
    chunks = ctx.db["conversations"].find_chunks(where, dict.fromkeys(fields, 1), size=STEP)
    return [one async for chunk in chunks for one in chunk]


def _matching(seen: Iterable[Document], wanted: ConversationFilter, below: Key) -> list[Key]:
    keys = (((int(one["last_ms"]), str(one["_id"])), one) for one in seen)
    return [key for key, one in keys if key < below and matches(one, wanted)]


def matches(one: Mapping[str, Any], wanted: ConversationFilter) -> bool:
    """Return whether a filter shows a conversation."""
    status = domain.status(one)
    return (
        (status != "archived" if wanted.tab == "all" else status == wanted.tab)
        and all(one[name] == value for name in ("account", "channel") if (value := getattr(wanted, name)))
        and (not wanted.assignee or one.get("assignee") == wanted.assignee)
        and (not wanted.campaign or wanted.campaign in one["campaigns"])
        and (not wanted.tag or wanted.tag in one["tags"])
        and (not wanted.text or any(key.startswith(wanted.text) for key in one["search"]))
    )
