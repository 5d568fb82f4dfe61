"""What came in, from the bus into conversations. Any message may come twice, in any order, on any replica.

A message is stored under its id with `applied: false`, its effects follow, each at most once or the same however often,
and `applied` becomes true last: whoever finds it false does the rest again.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from contracts.inbox import Received
from servicekit.errors import Invalid
from servicekit.failpoints import failpoint
from servicekit.mongo import BulkFailed, UpdateOne

from campaigns.contacts import addresses
from campaigns.contacts import domain as people
from campaigns.contacts import store as contact_store
from campaigns.contacts import usecases as contacts
from campaigns.context import Context
from campaigns.inbox import domain, store
from campaigns.inbox.attribution import answered, campaign_of, in_order, is_answer, went_out
from campaigns.suppression import usecases as suppression

Document = dict[str, Any]
CONTACTS_AT_ONCE = 8
"""A new sender's contact takes several round trips: strangers of a batch do not wait for each other."""


async def on_received(ctx: Context, messages: Sequence[Received]) -> None:
    """Take inbound messages into their conversations. Raises Unavailable where store or bus are away: let them come again."""
    if not messages:
        return
    rows = await answered(ctx, messages)
    fresh = await _stored(ctx, [in_order(m, rows.get(m.id)) for m in {m.id: m for m in messages}.values()])
    if not fresh:
        return
    failpoint("inbox.after_message")
    fresh.sort(key=lambda m: m.at)
    await _conversations(ctx, fresh, rows)
    await _campaign_messages(ctx, fresh, rows)
    writes = [w for m in fresh for w in store.effects(m, _conversation(m), campaign_of(m, rows.get(m.id)))]
    await ctx.db["conversations"].bulk_write(writes, ordered=True)
    for message in fresh:
        await _consequences(ctx, message, rows)
    await ctx.db["messages"].update_many({"_id": {"$in": [m.id for m in fresh]}}, {"$set": {"applied": True}})
    await ctx.hub.publish("conversation", sorted({_conversation(m) for m in fresh}))


def _conversation(message: Received) -> str:
    return domain.conversation_id(message.account_id, message.conversation)


async def _stored(ctx: Context, messages: list[Received]) -> list[Received]:
    """Store what is new; return it, with what an earlier delivery stored and did not finish."""
    try:
        await ctx.db["messages"].insert_many([store.message_of(m, _conversation(m)) for m in messages])
    except BulkFailed as error:
        if error.others:
            raise
        known = {messages[i].id for i in error.duplicates}
        open_ones = await ctx.db["messages"].find_list(
            {"_id": {"$in": sorted(known)}, "applied": False}, {"_id": 1}, limit=len(known)
        )
        unfinished = {str(one["_id"]) for one in open_ones}
        return [m for m in messages if m.id not in known or m.id in unfinished]
    return messages


async def _conversations(ctx: Context, messages: list[Received], rows: dict[str, Document]) -> None:
    """Make the conversations that do not exist yet, each with its contact."""
    first: dict[str, Received] = {}
    for message in messages:
        first.setdefault(_conversation(message), message)
    known = await ctx.db["conversations"].find_list({"_id": {"$in": list(first)}}, {"_id": 1}, limit=len(first))
    for one in known:
        first.pop(str(one["_id"]))
    owners = await _owners(ctx, list(first.values()))
    permits = asyncio.Semaphore(CONTACTS_AT_ONCE)

    async def begun(conversation_id: str, message: Received) -> UpdateOne:
        async with permits:
            contact = await _contact(ctx, message, rows.get(message.id), owners)
        fields = store.new_conversation(message, contact)
        return UpdateOne({"_id": conversation_id}, {"$setOnInsert": fields}, upsert=True)

    await _upsert(ctx, "conversations", await asyncio.gather(*(begun(*new) for new in first.items())))


async def _upsert(ctx: Context, collection: str, writes: list[UpdateOne]) -> None:
    try:
        if writes:
            await ctx.db[collection].bulk_write(writes)
    except BulkFailed as error:
        if error.others:
            raise  # a duplicate is what another replica made at this moment


async def _owners(ctx: Context, messages: list[Received]) -> dict[str, str]:
    """Return contact key → contact, for all that is known already, in one query."""
    keys = [key for m in messages for key in addresses.keys(m.channel, m.conversation)]
    found = await contact_store.by_keys(ctx, keys) if keys else []
    return {key: str(contact["_id"]) for contact in found for key in contact["addresses"]}


async def _contact(ctx: Context, message: Received, row: Document | None, owners: dict[str, str]) -> str | None:
    """Return who wrote: the contact the campaign wrote to, if it was this address, else whoever owns the address."""
    if row and row.get("contact") and str(row["to"]["address"]).casefold() == message.conversation.casefold():
        return str(row["contact"])
    for key in addresses.keys(message.channel, message.conversation):
        if key in owners:
            return owners[key]
    name = None if message.own else message.sender.name
    try:
        return await contacts.resolve(ctx, message.channel, message.conversation, name)
    except Invalid:
        return None  # an address that cannot be written to is shown, and has no contact


async def _campaign_messages(ctx: Context, messages: list[Received], rows: dict[str, Document]) -> None:
    """Show in the history what was answered: the campaign's message, as a reference to its row, which has its words."""
    writes = [
        UpdateOne({"_id": f"row-{row['_id']}"}, {"$setOnInsert": _campaign_message(message, row)}, upsert=True)
        for message in messages
        if (row := rows.get(message.id)) and row["kind"] == "campaign"
    ]
    await _upsert(ctx, "messages", writes)


def _campaign_message(message: Received, row: Document) -> Document:
    at = went_out(row) or message.at
    return {
        "conversation": _conversation(message), "account": message.account_id, "channel": str(message.channel),
        "direction": "out", "at": at, "ms": domain.milliseconds(at), "subject": None, "text": "", "html": None,
        "attachments": [], "platform_id": "", "references": [], "stub": None, "auto_reply": False,
        "campaign": row["campaign"], "campaign_row": row["_id"], "applied": True,
    }  # fmt: skip


async def _consequences(ctx: Context, message: Received, rows: dict[str, Document]) -> None:
    """Do what a message means beyond the inbox; each is safe to repeat."""
    from campaigns.outbox.usecases import on_reply  # noqa: PLC0415  # the outbox tells the inbox, and this one tells it

    row = rows.get(message.id)
    if row is not None and is_answer(message, row):
        await on_reply(ctx, str(row["_id"]), message.at)
    if domain.stops(message, ctx.settings.stop_words.split(",")):
        await _unsubscribe(ctx, message)


async def _unsubscribe(ctx: Context, message: Received) -> None:
    """Unsubscribe who said so: at the address they wrote from, and at those their contact has on the platform."""
    conversation = await store.get(ctx, _conversation(message))
    person = await contacts.require(ctx, conversation.get("contact")) or {}
    for address in dict.fromkeys([message.conversation, *people.addresses_on(person, message.channel)]):
        try:
            await suppression.suppress(ctx, message.channel, address, "unsubscribed", "keyword")
        except Invalid as error:  # nothing can be sent there: campaigns take only addresses in their normal form
            ctx.log.warning("cannot be unsubscribed", conversation=conversation["_id"], error=str(error)[:200])
