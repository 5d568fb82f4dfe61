"""Lists and tags: ways to name many contacts. Their counts are kept: set from a count, a moment after a change."""

import asyncio
from collections.abc import Iterable
from typing import Any, Literal

from servicekit.clock import utcnow
from servicekit.errors import Conflict, Invalid, NotFound, StaleVersion
from servicekit.mongo import DuplicateKey, UpdateOne

from campaigns.contacts import addresses, domain, events, store
from campaigns.context import Context

Document = dict[str, Any]
Kind = Literal["lists", "tags"]
KINDS: tuple[Kind, ...] = ("lists", "tags")
RECOUNT_SECONDS = 1.0
MAX_MEMBERS = 10_000


async def require_lists(ctx: Context, ids: Iterable[str]) -> None:
    """Raise Invalid naming the lists that do not exist."""
    wanted = set(ids)
    found = await ctx.db["lists"].find_list({"_id": {"$in": list(wanted)}}, {"_id": 1}, limit=max(1, len(wanted)))
    if missing := wanted - {str(one["_id"]) for one in found}:
        raise Invalid({"lists": f"there is no list {', '.join(sorted(missing))}"})


async def touch(ctx: Context, *, lists: Iterable[str] = (), tags: Iterable[str] = ()) -> None:
    """Note that members came or went: `recount` counts them again. A tag is made by its first use."""
    changed = {"$inc": {"changes": 1}, "$set": {"dirty": True}}
    if wanted := list(lists):
        await ctx.db["lists"].update_many({"_id": {"$in": wanted}}, changed)
    if used := list(tags):
        made = {**changed, "$setOnInsert": {"count": 0, "created_at": utcnow()}}
        await ctx.db["tags"].bulk_write([UpdateOne({"_id": tag}, made, upsert=True) for tag in used])


async def create_list(ctx: Context, name: str, description: str = "") -> Document:
    """Return a new list. Raises Invalid without a name, Conflict where the name is taken (its id is in the detail)."""
    made: Document = {
        "_id": store.new_id(), **_named(name), "description": description[:2000], "count": 0, "dirty": False,
        "changes": 0, "version": 1, "created_at": utcnow(), "updated_at": utcnow(),
    }  # fmt: skip
    try:
        await ctx.db["lists"].insert_one(made)
    except DuplicateKey as error:
        raise Conflict(f"there is a list named {made['name']} already", reason="name_taken") from error
    await ctx.hub.publish("list", [made["_id"]])
    return made


def _named(name: str) -> Document:
    clean = addresses.one_line(name)[:200]
    if not clean:
        raise Invalid({"name": "is required"})
    return {"name": clean, "key": clean.casefold()}


async def get_list(ctx: Context, list_id: str) -> Document:
    """Return a list. Raises NotFound."""
    found = await ctx.db["lists"].find_one({"_id": list_id})
    if found is None:
        raise NotFound(f"there is no list {list_id}")
    return found


async def edit_list(
    ctx: Context, list_id: str, version: int | None, name: str | None, description: str | None
) -> Document:
    """Return the list as edited, at *version* only if given. Raises NotFound, StaleVersion, Conflict, Invalid."""
    await get_list(ctx, list_id)
    fields = {**(_named(name) if name is not None else {}), "updated_at": utcnow()}
    if description is not None:
        fields["description"] = description[:2000]
    where: Document = {"_id": list_id, **({"version": version} if version is not None else {})}
    update = {"$set": fields, "$inc": {"version": 1}}
    try:
        found = await ctx.db["lists"].find_one_and_update(where, update)
    except DuplicateKey as error:
        raise Conflict(f"there is a list named {name} already", reason="name_taken") from error
    if found is None:
        raise StaleVersion((await get_list(ctx, list_id))["version"])
    return found


async def delete_list(ctx: Context, list_id: str) -> None:
    """Delete a list; its contacts stay. The list goes last, so that a crash in between can be repeated."""
    await get_list(ctx, list_id)
    await ctx.db["contacts"].update_many({"lists": list_id}, {"$pull": {"lists": list_id}, "$inc": {"version": 1}})
    await ctx.db["lists"].delete_one({"_id": list_id})
    await ctx.hub.publish("list", [list_id])


async def add_members(ctx: Context, kind: Kind, name: str, contacts: list[str]) -> int:
    """Put contacts into a list or give them a tag; return how many were not there before. Safe to repeat."""
    _limited(contacts)
    await _prepared(ctx, kind, name)
    where = {"_id": {"$in": contacts}, kind: {"$ne": name}}
    if kind == "lists":
        done = await ctx.db["contacts"].update_many(where, {"$addToSet": {kind: name}, "$inc": {"version": 1}})
        changed = done.modified_count
    else:
        changed = await _tag(ctx, name, contacts)
    await touch(ctx, **{kind: [name]})
    await ctx.hub.publish("contact", contacts[:500])
    return int(changed)


async def _tag(ctx: Context, tag: str, contacts: list[str]) -> int:
    """Tag with an event in each contact, so one write each; whoever has the tag already matches nothing."""
    added = {"$addToSet": {"tags": tag}, "$inc": {"version": 1}}
    writes = [
        UpdateOne({"_id": c, "tags": {"$ne": tag}}, store.with_events(added, events.tagged(c, [tag]))) for c in contacts
    ]
    return int((await ctx.db["contacts"].bulk_write(writes)).modified_count) if writes else 0


async def remove_members(ctx: Context, kind: Kind, name: str, contacts: list[str]) -> int:
    """Take contacts out of a list, or a tag from them; return how many had it. Safe to repeat."""
    _limited(contacts)
    where = {"_id": {"$in": contacts}, kind: name}
    done = await ctx.db["contacts"].update_many(where, {"$pull": {kind: name}, "$inc": {"version": 1}})
    await touch(ctx, **{kind: [name]})
    await ctx.hub.publish("contact", contacts[:500])
    return int(done.modified_count)


def _limited(contacts: list[str]) -> None:
    if len(contacts) > MAX_MEMBERS:
        raise Invalid({"contacts": f"at most {MAX_MEMBERS} at once"})


async def _prepared(ctx: Context, kind: Kind, name: str) -> None:
    if kind == "lists":
        await get_list(ctx, name)
        return
    try:
        normal = domain.tag(name)
    except ValueError as error:
        raise Invalid({"tag": str(error)}) from error
    if normal != name:
        raise Invalid({"tag": f"write it as {normal}"})


async def delete_tag(ctx: Context, tag: str) -> None:
    """Take a tag from every contact and forget it; safe to repeat."""
    await ctx.db["contacts"].update_many({"tags": tag}, {"$pull": {"tags": tag}, "$inc": {"version": 1}})
    await ctx.db["tags"].delete_one({"_id": tag})


async def rename_tag(ctx: Context, old: str, new: str) -> str:
    """Give every contact with *old* the tag *new* instead; return it in its normal form. No events: nobody got a tag."""
    try:
        normal = domain.tag(new)
    except ValueError as error:
        raise Invalid({"name": str(error)}) from error
    if normal != old:
        await ctx.db["contacts"].update_many({"tags": old}, {"$addToSet": {"tags": normal}, "$inc": {"version": 1}})
        await touch(ctx, tags=[normal])
        await delete_tag(ctx, old)
    return normal


async def recount(ctx: Context, kind: Kind) -> int:
    """Count the members of what was touched; return how many were counted.

    A change during the count raises `changes`, so that this count is not taken for the last word.
    """
    dirty = await ctx.db[kind].find_list({"dirty": True}, limit=1_000)
    for one in dirty:
        count = await ctx.db["contacts"].count({kind: one["_id"]})
        await ctx.db[kind].update_one({"_id": one["_id"]}, {"$set": {"count": count}})
        await ctx.db[kind].update_one({"_id": one["_id"], "changes": one["changes"]}, {"$set": {"dirty": False}})
    if dirty:
        await ctx.hub.publish(kind[:-1], [str(one["_id"]) for one in dirty][:500])
    return len(dirty)


async def keep_counts(ctx: Context) -> None:
    """Recount for ever; at the start everything once, since a crash may have come between a change and its note."""
    for kind in KINDS:
        await ctx.db[kind].update_many({}, {"$set": {"dirty": True}})
    while True:
        for kind in KINDS:
            await recount(ctx, kind)
        await asyncio.sleep(RECOUNT_SECONDS)
