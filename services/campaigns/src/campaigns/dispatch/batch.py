"""A batch: one account's stretch of numbers. Open, mark, read back, publish, close: each step safe to do again."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Self

from servicekit.clock import utcnow
from servicekit.failpoints import failpoint
from servicekit.mongo import IndexModel, ensure_indexes

from campaigns.context import Context
from campaigns.dispatch.lease import Lease
from campaigns.outbox import counts
from campaigns.outbox.rows import ROWS, SLICE_ROWS, Row, batch_of, slice_of

BATCHES = "batches"
_ROWS_AT_ONCE = 250
_PUBLISHED = ("to", "key", "kind", "vars", "number", "wanted", "tries", "slice", "content", "thread")
"""What a command is made of."""


@dataclass(frozen=True)
class Batch:
    """What `open` writes down, and all that an heir needs to do the rest again."""

    campaign: str
    account: str
    channel: str
    k: int
    first: int
    last: int
    not_after: datetime
    incarnation: str = ""

    @property
    def id(self) -> str:
        """Return `<campaign>.<k>`."""
        return batch_of(self.campaign, self.k)

    @property
    def slice(self) -> str:
        """Return the slice its numbers lie in: a batch never passes the end of one."""
        return slice_of(self.campaign, self.account, self.first)

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        """Return a batch as the store has it."""
        return cls(**{name: stored[name] for name in cls.__dataclass_fields__ if name in stored})


def queued_in(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Return the filter of what is queued in a batch, as the store has it; rows are found by the slice it lies in."""
    where = slice_of(batch["campaign"], batch["account"], batch["first"])
    return {"slice": where, "batch": batch_of(batch["campaign"], batch["k"]), "state": "queued"}


async def prepare(ctx: Context) -> None:
    """Create the indexes: the sweeper looks for what is not done by its `not_after`."""
    await ensure_indexes(ctx.db[BATCHES], [IndexModel("not_after"), IndexModel("campaign"), IndexModel("purge_at")])


async def open_batch(lease: Lease, batch: Batch, **also: Any) -> None:
    """Step 1: write the batch open on the campaign. Raises LeaseLost; nothing else has happened then."""
    if batch.first // SLICE_ROWS != batch.last // SLICE_ROWS:
        raise ValueError("a batch lies within one slice")
    update = {"$set": {"k": batch.k, **also}, "$push": {"open": asdict(batch)}}
    await lease.write(update, k=batch.k - 1)
    failpoint("dispatch.after_open")


async def announce(ctx: Context, batch: Batch) -> None:
    """Step 2: make it known to the sweeper, before any row is marked."""
    fields = {**asdict(batch), "done": False}
    await ctx.db[BATCHES].update_one({"_id": batch.id}, {"$setOnInsert": fields}, upsert=True)


def marks(batch: Batch, now: datetime | None = None) -> dict[str, Any]:
    """Return what being queued in a batch changes of a row."""
    now = now or utcnow()
    return {"state": "queued", "batch": batch.id, "k": batch.k, "queued_at": now, "updated_at": now}


async def mark(ctx: Context, batch: Batch) -> int:
    """Step 3: rows that are pending, due and of a lower batch become queued in this one; return how many now did."""
    now = utcnow()
    done = await ctx.db[ROWS].update_many(
        {
            "slice": batch.slice,
            "number": {"$gte": batch.first, "$lte": batch.last},
            "state": "pending",
            "k": {"$lt": batch.k},
            "not_before": {"$lte": now},
        },
        {"$set": marks(batch, now)},
    )
    await counts.touch(ctx, [batch.slice])
    return done.modified_count


async def read_back(ctx: Context, batch: Batch) -> AsyncIterator[list[Row]]:
    """Step 4: yield what is queued in the batch, whoever marked it, some rows at a time."""
    rows = ctx.db[ROWS].find_chunks(queued_in(asdict(batch)), _PUBLISHED, sort=[("number", 1)], size=_ROWS_AT_ONCE)
    async for some in rows:
        yield some


async def close(lease: Lease, batch: Batch) -> None:
    """Step 6 (5 is publishing): the batch is out; its rows wait for their outcomes."""
    await lease.write({"$pull": {"open": {"k": batch.k}}})
