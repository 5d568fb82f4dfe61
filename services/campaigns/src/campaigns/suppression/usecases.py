"""Suppressing and lifting. Suppress: bus first, then store; lift: the reverse. So a crash in between forbids."""

import asyncio
import contextlib
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from contracts import subjects
from contracts.channels import Channel
from contracts.events import ContactUnsubscribed
from contracts.state import SuppressionEntry
from servicekit.clock import utcnow
from servicekit.errors import Invalid, NotFound
from servicekit.mongo import DuplicateKey
from servicekit.pagination import Page

from campaigns import paging, relay
from campaigns.contacts import addresses
from campaigns.contacts import store as contacts
from campaigns.contacts.addresses import AddressError
from campaigns.context import Context
from campaigns.suppression import store
from campaigns.suppression.tokens import Claim, hasher

Document = dict[str, Any]
REASONS = ("unsubscribed", "bounced", "complained", "blocked", "manual")
AT_ONCE = 64
_KEY = re.compile(r"^[a-z_]+\.[0-9a-f]{64}$")
relay.register("suppressions")


async def suppressed(ctx: Context, channel: str, wanted: Iterable[str]) -> set[str]:
    """Return which of these normalised addresses no campaign or automation may write to; one query for all."""
    hashes = hasher(ctx)
    by_key = {f"{channel}.{d}": address for address in wanted for d in hashes.digests(channel, address)}
    return {by_key[str(one["_id"])] for one in await store.find(ctx, by_key)}


async def reason(ctx: Context, channel: str, address: str) -> str | None:
    """Return why an address is suppressed, for people to see; None where it is not."""
    found = await store.find(ctx, [f"{channel}.{digest}" for digest in hasher(ctx).digests(channel, address)])
    return str(found[0]["reason"]) if found else None


async def forbids_reply(ctx: Context, channel: str, address: str) -> str | None:
    """Return why not even a person may answer (blocked, bounced), else None. Asks the bus: it is what lanes obey."""
    for digest in hasher(ctx).digests(channel, address):
        entry = await store.bucket(ctx).get(f"{channel}.{digest}")
        if entry is not None and entry.value.forbids("reply"):
            return entry.value.reason
    return None


async def suppress(
    ctx: Context, channel: str, address: str, reason: str, source: str, *, campaign: str = "", note: str = ""
) -> Document:
    """Forbid writing to an address; acknowledged means that every lane obeys. A weaker reason never replaces a stronger.

    Raises Invalid for an address or reason that cannot be, Unavailable where bus or store are away (repeat it then).
    """
    normal = _normal(ctx, channel, address)
    if reason not in REASONS:
        raise Invalid({"reason": f"is one of {', '.join(REASONS)}"})
    key = f"{channel}.{hasher(ctx).digest(channel, normal)}"
    return await _write(ctx, _Wish(key, channel, normal, reason, source, campaign, note[:2000], utcnow()))


async def unsubscribe(ctx: Context, claim: Claim) -> Document:
    """Do what a one-click link says; the address is looked up in the outbox and may be gone. Safe to repeat."""
    row = await ctx.db["rows"].find_one({"_id": claim.row}, {"to": 1})
    address = str(((row or {}).get("to") or {}).get("address") or "")
    wish = _Wish(claim.key, claim.channel, address, "unsubscribed", "one-click", claim.campaign, "", utcnow())
    return await _write(ctx, wish)


@dataclass(frozen=True)
class _Wish:
    key: str
    channel: str
    address: str
    reason: str
    source: str
    campaign: str
    note: str
    at: datetime

    def fields(self) -> Document:
        kept = {name: value for name, value in asdict(self).items() if name != "key"}
        return kept if self.address else {name: value for name, value in kept.items() if name != "address"}


async def _write(ctx: Context, wish: _Wish) -> Document:
    await store.project(ctx, wish.key, SuppressionEntry.model_validate({"reason": wish.reason, "at": wish.at}))
    for _ in range(3):
        with contextlib.suppress(DuplicateKey):  # two at once made the same one: the second looks again
            await _record(ctx, wish)
            break
    await ctx.hub.publish("suppression", [wish.key])
    return await ctx.db["suppressions"].find_one({"_id": wish.key}) or {}


async def _record(ctx: Context, wish: _Wish) -> None:
    collection = ctx.db["suppressions"]
    have = await collection.find_one({"_id": wish.key})
    if have is None:
        events = await _events(ctx, wish)
        made = {"_id": wish.key, "address": "", **wish.fields(), "pending_events": events}
        made["seq"] = await contacts.next_numbers(ctx, "suppressions")
        await collection.insert_one({**made, "relay_at": wish.at} if events else made)
    elif store.stronger(wish.reason, have["reason"]):
        await collection.update_one({"_id": wish.key, "reason": have["reason"]}, {"$set": wish.fields()})
    elif wish.address and not have.get("address"):
        await collection.update_one({"_id": wish.key}, {"$set": {"address": wish.address}})


async def _events(ctx: Context, wish: _Wish) -> list[Document]:
    """Return ContactUnsubscribed for those who asked for it themselves."""
    if wish.reason not in {"unsubscribed", "complained"}:
        return []
    owners = await contacts.by_keys(ctx, addresses.keys(wish.channel, wish.address)) if wish.address else []
    told = ContactUnsubscribed(
        contact_id=str(owners[0]["_id"]) if owners else None,
        channel=Channel(wish.channel),
        campaign_id=wish.campaign or None,
        at=wish.at,
    )
    return [relay.event(subjects.domain("campaigns", "contact", "unsubscribed"), told, contacts.new_id())]


async def lift(ctx: Context, key: str) -> Document:
    """Allow writing again; an operator's decision only. Raises NotFound, Unavailable (repeat it then)."""
    if not _KEY.match(key):
        raise NotFound(f"there is no suppression {key}")
    found = await ctx.db["suppressions"].find_one({"_id": key})
    if found is None:
        # a lift that died between store and bus is finished by repeating it
        await store.unproject(ctx, [key])
        raise NotFound(f"there is no suppression {key}")
    await ctx.db["suppressions"].delete_one({"_id": key})
    keys = {key}
    if found.get("address"):
        keys |= {f"{found['channel']}.{d}" for d in hasher(ctx).digests(found["channel"], found["address"])}
    await store.unproject(ctx, sorted(keys))
    await ctx.hub.publish("suppression", [key])
    return found


async def listed(
    ctx: Context, *, channel: str = "", reason: str = "", q: str = "", cursor: str | None = None, limit: int = 50
) -> Page[Document]:
    """Return suppressions, newest first; *q* is the beginning of an address, or a whole one (found by its digest)."""
    where: Document = {}
    if channel:
        where["channel"] = channel
    if reason:
        where["reason"] = reason
    if q.strip():
        text = q.strip().casefold()
        where["$or"] = [
            {"address": {"$gte": text, "$lt": f"{text}\U0010ffff"}},
            {"_id": {"$in": _keys(ctx, channel, q)}},
        ]
    return await paging.newest_first(ctx.db["suppressions"], where, key="seq", cursor=cursor, limit=limit)


def _keys(ctx: Context, channel: str, text: str) -> list[str]:
    keys: list[str] = []
    for one in [channel.strip()] if channel else ctx.settings.enabled:
        try:
            normal = _normal(ctx, one, text)
        except Invalid:
            continue
        keys += [f"{one}.{digest}" for digest in hasher(ctx).digests(one, normal)]
    return keys


def _normal(ctx: Context, channel: str, address: str) -> str:
    try:
        return addresses.normalise(Channel(channel), address, ctx.settings.default_region)
    except AddressError as error:
        raise Invalid({"address": str(error)}) from error
    except ValueError as error:
        raise Invalid({"channel": f"{channel} is not a channel"}) from error


async def project_all(ctx: Context) -> int:
    """Write every suppression of the store onto the bus again, after a restore or a crash; return how many there are."""
    waiting: set[asyncio.Task[None]] = set()
    count = 0
    async for one in store.every(ctx):
        entry = SuppressionEntry.model_validate({"reason": one["reason"], "at": one["at"]})
        waiting.add(asyncio.create_task(store.project(ctx, str(one["_id"]), entry)))
        count += 1
        if len(waiting) >= AT_ONCE:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    await asyncio.gather(*waiting)
    return count
