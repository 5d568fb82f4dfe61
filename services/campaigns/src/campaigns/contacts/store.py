"""Contacts, lists and tags in the store."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from servicekit.clock import utcnow
from servicekit.errors import NotFound, StaleVersion
from servicekit.mongo import ASCENDING, IndexModel, ensure_indexes

from campaigns import relay
from campaigns.context import Context

Document = dict[str, Any]
relay.register("contacts")


async def prepare(ctx: Context) -> None:
    """Create the indexes. One field each: more would slow every import."""
    await ensure_indexes(
        ctx.db["contacts"],
        [
            IndexModel([("addresses", ASCENDING)], unique=True, sparse=True),
            *(IndexModel([(field, ASCENDING)]) for field in ("seq", "search", "tags", "lists")),
        ],
    )
    await ensure_indexes(ctx.db["lists"], [IndexModel([("key", ASCENDING)], unique=True)])


def new_id() -> str:
    """Return a fresh id."""
    return secrets.token_hex(12)


async def next_numbers(ctx: Context, name: str, count: int = 1) -> int:
    """Reserve *count* rising numbers and return the first; a crash leaves a gap, never a repeat."""
    found = await ctx.db["counters"].find_one_and_update({"_id": name}, {"$inc": {"n": count}}, upsert=True)
    return int((found or {"n": count})["n"]) - count + 1


async def get(ctx: Context, contact_id: str) -> Document:
    """Return a contact. Raises NotFound."""
    found = await ctx.db["contacts"].find_one({"_id": contact_id})
    if found is None:
        raise NotFound(f"there is no contact {contact_id}")
    return found


async def by_keys(ctx: Context, keys: Iterable[str]) -> list[Document]:
    """Return the contacts that own any of these addresses."""
    wanted = list(keys)
    return await ctx.db["contacts"].find_list({"addresses": {"$in": wanted}}, limit=max(1, len(wanted)))


def document(contact: Mapping[str, Any], seq: int, contact_id: str = "", events: Sequence[Document] = ()) -> Document:
    """Return a contact as it is stored first. Without an address the field is absent: the unique index is sparse."""
    now = utcnow()
    made: Document = {
        "_id": contact_id or new_id(), "seq": seq, "name": "", "email": "", "phone": "", "handles": {}, "attributes": {},
        "tags": [], "lists": [], **contact, "pending_events": list(events), "version": 1, "created_at": now, "updated_at": now,
    }  # fmt: skip
    if events:
        made["relay_at"] = now
    if not made.get("addresses"):
        made.pop("addresses", None)
    return made


_EDITABLE = ("name", "email", "phone", "handles", "attributes", "tags", "lists", "addresses", "search")


def edit(contact: Mapping[str, Any], events: list[Document]) -> Document:
    """Return the update that stores an edited contact; `pending_events` are added to, never replaced."""
    fields = {name: contact[name] for name in _EDITABLE if name in contact}
    update: Document = {"$set": {**fields, "updated_at": utcnow()}, "$inc": {"version": 1}}
    if not fields.get("addresses"):
        fields.pop("addresses", None)
        update["$set"].pop("addresses", None)
        update["$unset"] = {"addresses": ""}
    return with_events(update, events)


def with_events(update: Document, events: list[Document]) -> Document:
    """Return an update that also stores the events for the relay."""
    if not events:
        return update
    stored = relay.pushed(*events)
    return {**update, "$push": stored["$push"], "$set": {**update.get("$set", {}), **stored["$set"]}}


async def save(ctx: Context, contact: Mapping[str, Any], events: list[Document]) -> Document:
    """Store an edited contact if it is still at its version. Raises StaleVersion, or DuplicateKey for another's address."""
    where = {"_id": contact["_id"], "version": contact["version"]}
    fresh = await ctx.db["contacts"].find_one_and_update(where, edit(contact, events))
    if fresh is None:
        raise StaleVersion((await get(ctx, contact["_id"]))["version"])
    return fresh
