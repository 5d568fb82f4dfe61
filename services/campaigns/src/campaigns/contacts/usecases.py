"""What people and programs do with contacts."""

from collections.abc import Mapping
from typing import Any, Literal

from contracts.channels import Channel
from servicekit.errors import Conflict, Invalid, NotFound, StaleVersion
from servicekit.mongo import DuplicateKey
from servicekit.pagination import Page

from campaigns import paging
from campaigns.contacts import addresses, domain, events, groups, store
from campaigns.contacts.addresses import AddressError
from campaigns.contacts.domain import ContactInput
from campaigns.context import Context

Document = dict[str, Any]
Outcome = Literal["inserted", "updated", "unchanged"]
ATTEMPTS = 5


async def create(ctx: Context, given: ContactInput) -> Document:
    """Return a new contact. Raises Invalid by field, Conflict where an address is another contact's."""
    fields = await _checked(ctx, given)
    contact = domain.merged({"name": ""}, fields)
    if not contact["addresses"] and not contact["name"]:
        raise Invalid({"name": "give a name or an address"})
    contact_id, seq = store.new_id(), await store.next_numbers(ctx, "contacts")
    made = store.document(contact, seq, contact_id, events.tagged(contact_id, contact.get("tags", [])))
    try:
        await ctx.db["contacts"].insert_one(made)
    except DuplicateKey as error:
        raise await _taken(ctx, contact) from error
    await _told(ctx, made["_id"], made["lists"], made["tags"])
    return made


async def edit(ctx: Context, contact_id: str, given: ContactInput, version: int | None) -> Document:
    """Return the contact as edited; at *version* only, if given. Raises NotFound, Invalid, StaleVersion, Conflict."""
    old = await store.get(ctx, contact_id)
    if version is not None and old["version"] != version:
        raise StaleVersion(old["version"])
    return await _save(ctx, old, await _checked(ctx, given))


async def upsert(ctx: Context, given: ContactInput) -> tuple[Document, Outcome]:
    """Create the contact, or edit the one that owns any of the addresses given. Raises Invalid, Conflict."""
    fields = await _checked(ctx, given)
    keys = domain.merged({}, fields)["addresses"]
    if not keys:
        raise Invalid({"email": "an address is needed to find the contact by"})
    for _ in range(ATTEMPTS):
        owners = await store.by_keys(ctx, keys)
        if len(owners) > 1:
            raise await _taken(ctx, {"addresses": keys})
        try:
            if not owners:
                return await create(ctx, given), "inserted"
            if not changes(owners[0], fields):
                return owners[0], "unchanged"
            return await _save(ctx, owners[0], joined(owners[0], fields)), "updated"
        except Conflict:
            continue  # somebody wrote it in between: look again
    raise Conflict("the contact is being changed by many at once")


def changes(contact: Mapping[str, Any], fields: Mapping[str, Any]) -> bool:
    """Return whether laying *fields* over the contact changes anything; tags and lists are only ever added."""
    fresh = domain.merged(contact, joined(contact, fields))
    names = ("name", "email", "phone", "handles", "attributes", "tags", "lists")
    return any((fresh.get(n) or None) != (contact.get(n) or None) for n in names)


def joined(contact: Mapping[str, Any], fields: Mapping[str, Any]) -> Document:
    """Return *fields* with the contact's own tags and lists kept."""
    kept = {g: sorted({*contact.get(g, []), *fields[g]}) for g in ("tags", "lists") if g in fields}
    return {**fields, **kept}


async def delete(ctx: Context, contact_id: str) -> None:
    """Delete a contact; what was sent to it stays in the outbox. Raises NotFound."""
    old = await store.get(ctx, contact_id)
    await ctx.db["contacts"].delete_one({"_id": contact_id})
    await _told(ctx, contact_id, old["lists"], old["tags"])


async def search(
    ctx: Context, *, q: str = "", list_id: str = "", tag: str = "", cursor: str | None = None, limit: int = 50
) -> Page[Document]:
    """Return contacts, newest first; *q* is the beginning of a name, a word of it, or an address."""
    where: Document = {}
    if q.strip():
        text = addresses.one_line(q).casefold().removeprefix("@")
        where["search"] = {"$elemMatch": {"$gte": text, "$lt": f"{text}\U0010ffff"}}
    if list_id:
        where["lists"] = list_id
    if tag:
        where["tags"] = tag.casefold()
    return await paging.newest_first(ctx.db["contacts"], where, key="seq", cursor=cursor, limit=limit)


async def resolve(ctx: Context, channel: str, address: str, name: str | None = None) -> str:
    """Return the id of the contact with this address, made if there is none. Raises Invalid for an impossible address."""
    try:
        normal = addresses.normalise(channel, address, ctx.settings.default_region)
    except AddressError as error:
        raise Invalid({"address": str(error)}) from error
    for _ in range(ATTEMPTS):
        owners = await store.by_keys(ctx, addresses.keys(channel, normal))
        if owners:
            return str(min(owners, key=lambda c: c["seq"])["_id"])
        try:
            return str((await create(ctx, _first_seen(channel, normal, name)))["_id"])
        except Conflict:
            continue  # made by somebody else at this moment
    raise Conflict("the contact is being changed by many at once")


def _first_seen(channel: str, address: str, name: str | None) -> ContactInput:
    shown = addresses.one_line(name or "")[: domain.MAX_NAME]
    if channel == Channel.EMAIL:
        return ContactInput(name=shown, email=address)
    if channel in addresses.PHONE_CHANNELS and address.startswith("+"):
        return ContactInput(name=shown, phone=address)
    return ContactInput(name=shown, handles={Channel(channel): address})


async def _checked(ctx: Context, given: ContactInput) -> Document:
    fields = domain.normalised(given, ctx.settings.default_region)
    await groups.require_lists(ctx, fields.get("lists", []))
    return fields


async def _save(ctx: Context, old: Document, fields: Document) -> Document:
    fresh = domain.merged(old, fields)
    added = sorted(set(fresh["tags"]) - set(old["tags"]))
    try:
        saved = await store.save(ctx, fresh, events.tagged(old["_id"], added))
    except DuplicateKey as error:
        raise await _taken(ctx, fresh) from error
    changed = [list(set(fresh[g]) ^ set(old[g])) for g in ("lists", "tags")]
    await _told(ctx, old["_id"], *changed)
    return saved


async def _told(ctx: Context, contact_id: str, lists: list[str], tags: list[str]) -> None:
    await groups.touch(ctx, lists=lists, tags=tags)
    await ctx.hub.publish("contact", [contact_id])


async def _taken(ctx: Context, contact: Mapping[str, Any]) -> Conflict:
    """Return the Conflict that names whose address it is."""
    owners = [c for c in await store.by_keys(ctx, contact["addresses"]) if c["_id"] != contact.get("_id")]
    named = [f"{key} is of contact {c['_id']}" for c in owners for key in c["addresses"] if key in contact["addresses"]]
    return Conflict("; ".join(named) or "an address is another contact's", reason="address_taken")


async def require(ctx: Context, contact_id: str | None) -> Document | None:
    """Return the contact, None where there is none any more."""
    try:
        return await store.get(ctx, contact_id) if contact_id else None
    except NotFound:
        return None
