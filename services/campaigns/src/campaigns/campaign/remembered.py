"""Ends of rows that a restored store does not have (yet): expanding the campaign again must not write to them again."""

from collections.abc import Sequence

from contracts.inbox import Outcome
from servicekit.mongo import Document, UpdateOne

from campaigns.context import Context
from campaigns.outbox.rows import Row

REMEMBERED = "remembered_rows"


async def remember(ctx: Context, ends: Sequence[tuple[Outcome, Document]]) -> None:
    """Keep the last attempt's end of each row; safe to do again."""
    made = [UpdateOne({"_id": o.row}, {"$setOnInsert": {"k": 0}}, upsert=True) for o, _ in ends]
    newer = [UpdateOne({"_id": o.row, "k": {"$lt": o.k}}, {"$set": fields}) for o, fields in ends]
    if ends:
        await ctx.db[REMEMBERED].bulk_write([*made, *newer], ordered=True)


async def recall(ctx: Context, rows: Sequence[Row]) -> None:
    """Give rows that are about to be stored the ends they had in the store that was lost."""
    by_id = {row["_id"]: row for row in rows}
    async for end in ctx.db[REMEMBERED].find({"_id": {"$in": list(by_id)}}):
        by_id[end["_id"]].update(end)
