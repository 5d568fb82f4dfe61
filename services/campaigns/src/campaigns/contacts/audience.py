"""Who a campaign goes to: contacts of lists and tags that have an address on its channel."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from campaigns.contacts import domain
from campaigns.context import Context

STRIDE = 1_000


@dataclass(frozen=True)
class Member:
    """One recipient, with what templates may name of it."""

    contact: str
    address: str
    name: str
    vars: dict[str, str]


@dataclass(frozen=True)
class AudienceBatch:
    """Members in a stable order; pass `cursor` as `after` to go on behind this batch after a crash."""

    members: list[Member]
    cursor: int


async def audience(
    ctx: Context, lists: Iterable[str], tags: Iterable[str], channel: str, after: int = 0
) -> AsyncIterator[AudienceBatch]:
    """Yield the contacts in any of *lists* or with any of *tags*, at most 1,000 at a time, oldest first.

    Contacts without an address on *channel* are left out; a contact is yielded once. Empty *lists* and *tags* give none.
    """
    wanted = {"lists": list(lists), "tags": list(tags)}
    last = await ctx.db["contacts"].find_one({}, {"seq": 1}, sort=[("seq", -1)])
    end = int(last["seq"]) if last else 0
    while after < end:
        found = await _stretch(ctx, wanted, after)
        after += STRIDE
        yield AudienceBatch([m for c in found if (m := _member(c, channel))], after)


async def _stretch(ctx: Context, wanted: Mapping[str, Sequence[str]], after: int) -> list[dict[str, Any]]:
    """Return one stride of contacts. A query for each field: with `$or` some stores read every contact, each stride."""
    found: dict[str, dict[str, Any]] = {}
    for name, values in wanted.items():
        if values:
            where = {"seq": {"$gt": after, "$lte": after + STRIDE}, name: {"$in": list(values)}}
            there = await ctx.db["contacts"].find_list(where, sort=[("seq", 1)], limit=STRIDE)
            found |= {str(contact["_id"]): contact for contact in there}
    return sorted(found.values(), key=itemgetter("seq"))


def _member(contact: dict[str, Any], channel: str) -> Member | None:
    address = domain.address_for(contact, channel)
    if not address:
        return None
    return Member(str(contact["_id"]), address, contact.get("name") or "", domain.variables(contact))
