"""Commands whose rows a restored store does not know to be queued: queued again, or taken back where there is no row."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from contracts import subjects
from contracts.channels import Channel
from contracts.commands import SendMessage
from nats.js import errors as js_errors
from pydantic import ValidationError
from servicekit.bus_errors import translated
from servicekit.clock import utcnow
from servicekit.ledger import Ledger
from servicekit.mongo import UpdateOne

from campaigns.context import Context
from campaigns.dispatch.batch import BATCHES
from campaigns.outbox import counts
from campaigns.outbox.rows import ROWS, slice_of

_COMMANDS_AT_ONCE = 200


async def pages(ctx: Context, channel: Channel) -> AsyncIterator[list[SendMessage]]:
    """Yield our commands that lie in a channel's stream, oldest first; a work queue is read without taking from it."""
    page: list[SendMessage] = []
    stream, sequence = subjects.commands_stream(channel), 1
    while True:
        try:
            with translated(stream):
                found = await ctx.bus.js.get_msg(stream, seq=sequence, subject=f"cmd.{channel}.>", next=True)
        except js_errors.NotFoundError:
            break
        sequence = (found.seq or sequence) + 1
        page += _ours(found.data or b"")
        if len(page) >= _COMMANDS_AT_ONCE:
            yield page
            page = []
    yield page


def _ours(data: bytes) -> list[SendMessage]:
    try:
        command = SendMessage.model_validate_json(data)
    except ValidationError:  # its lane puts it aside
        return []
    return [] if command.is_outside or not command.campaign_id else [command]


async def queue_again(ctx: Context, channel: Channel, commands: Sequence[SendMessage], life: str) -> None:
    """Queue the rows of commands that may leave at any moment, and have the sweeper know their batches on this bus."""
    if not commands:
        return
    await ctx.db[BATCHES].bulk_write([_batch(channel, c, life) for c in commands], ordered=True)
    await ctx.db[ROWS].bulk_write([_queued(c) for c in commands], ordered=True)
    ids = [c.row for c in commands]
    known = {str(r["_id"]) async for r in ctx.db[ROWS].find({"_id": {"$in": ids}}, {"_id": 1})}
    await counts.touch(ctx, {_slice(c) for c in commands if c.row in known})
    ledger = Ledger(ctx.bus, channel)
    await asyncio.gather(*(ledger.cancel(c.ledger_key, "cancelled") for c in commands if c.row not in known))


def _batch(channel: Channel, command: SendMessage, life: str) -> UpdateOne:
    """Make the command's batch, or widen one that was made here; those of the backup had all their numbers."""
    fields = {
        "campaign": command.campaign_id, "account": command.account_id, "channel": str(channel), "k": command.k,
        "not_after": command.not_after, "incarnation": life, "done": False,
    }  # fmt: skip
    number = {"$min": {"first": command.number}, "$max": {"last": command.number}}
    return UpdateOne({"_id": command.batch}, {"$setOnInsert": fields, **number}, upsert=True)


def _queued(command: SendMessage) -> UpdateOne:
    now = utcnow()
    fields = {
        "state": "queued", "batch": command.batch, "k": command.k, "wanted": command.wanted, "account": command.account_id,
        "number": command.number, "slice": _slice(command), "queued_at": now, "updated_at": now,
    }  # fmt: skip
    return UpdateOne({"_id": command.row, "k": {"$lt": command.k}}, {"$set": fields})


def _slice(command: SendMessage) -> str:
    return slice_of(str(command.campaign_id), command.account_id, command.number)
