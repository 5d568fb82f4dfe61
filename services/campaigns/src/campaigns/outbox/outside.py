"""Rows of commands that other programs published: made from their first event."""

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta

from contracts.inbox import Outcome
from servicekit.mongo import UpdateOne

from campaigns.contacts.store import next_numbers
from campaigns.context import Context
from campaigns.outbox.rows import ROWS, Row, new_row, placed, reserve_seq

CAMPAIGN = "outside"
"""Stands where a row of ours names its campaign."""
KEEP_LEDGER = timedelta(days=8)
"""We do not know a command's `not_after`: its ledger entry outlives any redelivery we can imagine."""


async def rows_of(ctx: Context, outcomes: Iterable[Outcome]) -> dict[str, Row]:
    """Return the row of each outcome from outside, made where it did not exist; safe to do again."""
    firsts = {o.row: o for o in outcomes if o.outside is not None}
    if not firsts:
        return {}
    found = await _stored(ctx, firsts)
    new = [o for row, o in firsts.items() if row not in found]
    if new:
        await _create(ctx, new)
        found = await _stored(ctx, firsts)
    return found


async def _stored(ctx: Context, ids: Iterable[str]) -> dict[str, Row]:
    wanted = list(ids)
    rows = await ctx.db[ROWS].find_list({"_id": {"$in": wanted}}, {"slice": 1, "number": 1}, limit=len(wanted))
    return {str(row["_id"]): row for row in rows}


async def _create(ctx: Context, firsts: list[Outcome]) -> None:
    seq = await reserve_seq(ctx, len(firsts))
    numbers: dict[str, int] = {}
    for account, count in Counter(o.account_id for o in firsts).items():
        numbers[account] = await next_numbers(ctx, f"outside.{account}", count)
    rows: list[Row] = []
    for offset, outcome in enumerate(firsts):
        rows.append(placed(_row(outcome), numbers[outcome.account_id], seq + offset))
        numbers[outcome.account_id] += 1
    await ctx.db[ROWS].bulk_write([UpdateOne({"_id": r["_id"]}, {"$setOnInsert": r}, upsert=True) for r in rows])
    await ctx.db["batches"].bulk_write([_batch(o) for o in firsts])


def _row(outcome: Outcome) -> Row:
    origin = outcome.outside
    if origin is None:
        raise ValueError(outcome.row)
    row = new_row(
        outcome.row, campaign=CAMPAIGN, account=outcome.account_id, channel=outcome.channel, kind=origin.kind,
        to=origin.to.model_dump(), key=origin.to.address.strip().casefold(), now=outcome.at,
    )  # fmt: skip
    queued = {"state": "queued", "batch": outcome.batch, "k": outcome.k, "queued_at": outcome.at}
    return {**row, **queued, "source": origin.source, "subject": origin.subject, "text": origin.preview}


def _batch(outcome: Outcome) -> UpdateOne:
    fields = {
        "campaign": CAMPAIGN, "account": outcome.account_id, "incarnation": "", "channel": str(outcome.channel), "k": outcome.k,
        "done": True, "not_after": outcome.at, "purge_at": outcome.at + KEEP_LEDGER,
    }  # fmt: skip
    return UpdateOne({"_id": outcome.batch}, {"$setOnInsert": fields}, upsert=True)
