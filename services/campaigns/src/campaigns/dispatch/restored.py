"""A store that is older than its bus came back from a backup: what has happened since is learnt again first (3.12).

Store and bus keep a mark per channel, raised together and first in the store: one behind the bus's has been restored.
Then what INBOX still holds is heard again, and what the command stream still holds is queued again; only a row of which
neither knows anything may be sent.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from contracts.channels import Channel
from contracts.inbox import Outcome, Sent
from contracts.state import StoreMark
from nats.js import api
from servicekit import stream_reader
from servicekit.bus_errors import translated
from servicekit.clock import utcnow
from servicekit.delivery.received import by_contract
from servicekit.errors import Conflict
from servicekit.kv import Bucket
from servicekit.mongo import Document, UpdateOne

from campaigns.campaign import remembered
from campaigns.campaign.store import collection
from campaigns.context import Context
from campaigns.dispatch import stranded
from campaigns.outbox import counts, settle
from campaigns.outbox.rows import ROWS, slice_of

_STREAM, _MESSAGES_AT_ONCE = "INBOX", 500


def _bucket(ctx: Context) -> Bucket[StoreMark]:
    return Bucket(ctx.bus, "marks", StoreMark)


def _id(channel: Channel) -> str:
    return f"mark.{channel}"


async def is_older(ctx: Context, channel: Channel) -> bool:
    """Return whether the bus has seen a later state of this store. The bus is read first: a mark may rise meanwhile."""
    seen = await _bucket(ctx).get(str(channel))
    return seen is not None and (await _stored(ctx, channel))["times"] < seen.value.times


async def raise_mark(ctx: Context, channel: Channel) -> None:
    """Let store and bus agree that time has passed; safe to do at any time, by any replica."""
    heard = (await _inbox(ctx)).last_seq
    update = {"$inc": {"times": 1}, "$set": {"inbox": heard, "at": utcnow()}}
    found = await ctx.db["counters"].find_one_and_update({"_id": _id(channel)}, update, upsert=True)
    mark, bucket = StoreMark(times=int((found or {"times": 1})["times"])), _bucket(ctx)
    while (have := await bucket.get(str(channel))) is None or have.value.times < mark.times:
        try:
            await (bucket.update(str(channel), mark, have.revision) if have else bucket.create(str(channel), mark))
        except Conflict:
            continue


async def catch_up(ctx: Context, channel: Channel, life: str) -> dict[str, Any]:
    """Learn again what the bus of this *life* still knows; return what campaigns are to say of it. Safe to do again.

    Commands come first: one that is gone from its stream by then has its outcome in INBOX.
    """
    from campaigns.outbox.messaging import hear  # noqa: PLC0415  # the outbox cancels, and cancelling verifies the bus

    before = await _stored(ctx, channel)
    async for page in stranded.pages(ctx, channel):
        await stranded.queue_again(ctx, channel, page, life)
        await _raise_k(ctx, ((str(c.campaign_id), c.k) for c in page))
    async for messages in _inbox_pages(ctx, channel):
        await relive(ctx, [m for m in messages if isinstance(m, Outcome) and m.campaign_id])
        await hear(ctx, messages)
    lost = int((await _inbox(ctx)).first_seq) > before["inbox"] + 1
    seen = await _bucket(ctx).get(str(channel))
    if seen is not None:
        await ctx.db["counters"].update_one({"_id": _id(channel)}, {"$max": {"times": seen.value.times}}, upsert=True)
    return {"reason": "store_restored", "since": before["at"], "complete": not lost}


async def relive(ctx: Context, outcomes: Sequence[Outcome]) -> None:
    """Give rows the ends of attempts that were begun after the backup: their batches are not known here any more."""
    if not outcomes:
        return
    await ctx.db[ROWS].bulk_write([_again(o) for o in outcomes], ordered=True)
    await counts.touch(ctx, {slice_of(str(o.campaign_id), o.account_id, o.number) for o in outcomes})
    await _raise_k(ctx, ((str(o.campaign_id), o.k) for o in outcomes))
    ids = sorted({o.row for o in outcomes})
    known = {str(r["_id"]) async for r in ctx.db[ROWS].find({"_id": {"$in": ids}}, {"_id": 1})}
    await remembered.remember(ctx, [(o, _end(o)) for o in outcomes if o.row not in known])


async def _raise_k(ctx: Context, used: Iterable[tuple[str, int]]) -> None:
    """Have campaigns go on after the highest batch they have used, so that no attempt's name stands for two."""
    highest: dict[str, int] = {}
    for campaign, k in used:
        highest[campaign] = max(k, highest.get(campaign, 0))
    if highest:
        await collection(ctx).bulk_write([UpdateOne({"_id": c}, {"$max": {"k": k}}) for c, k in highest.items()])


def _again(outcome: Outcome) -> UpdateOne:
    account, number = outcome.account_id, outcome.number
    place = {"account": account, "number": number, "slice": slice_of(str(outcome.campaign_id), account, number)}
    return UpdateOne({"_id": outcome.row, "k": {"$lt": outcome.k}}, {"$set": {**place, **_end(outcome)}})


def _end(outcome: Outcome) -> Document:
    """Return what an attempt's outcome says of its row, the attempt included."""
    attempt = {"batch": outcome.batch, "k": outcome.k, "wanted": outcome.wanted, "updated_at": utcnow()}
    fields = {name: list(v) if isinstance(v, tuple) else v for name, v in settle.change(outcome).fields}
    return {**attempt, **fields, **({"sent_at": outcome.at} if isinstance(outcome, Sent) else {})}


async def _inbox(ctx: Context) -> api.StreamState:
    with translated(_STREAM):
        return (await ctx.bus.js.stream_info(_STREAM)).state


async def _inbox_pages(ctx: Context, channel: Channel) -> AsyncIterator[list[object]]:
    page: list[object] = []
    with translated(_STREAM):
        async for message in stream_reader.read(ctx.bus.js, _STREAM, f"inbox.{channel}.>"):
            try:
                page.append(by_contract(message.subject, dict(message.headers or {}), message.data))
            except Exception as error:
                ctx.log.info("not heard again", subject=message.subject, error=type(error).__name__)
            if len(page) == _MESSAGES_AT_ONCE:
                yield page
                page = []
    yield page


async def _stored(ctx: Context, channel: Channel) -> Document:
    found = await ctx.db["counters"].find_one({"_id": _id(channel)})
    return found or {"times": 0, "inbox": 0, "at": None}
