"""One account's share of a pass: choose a stretch, and carry its batch out, step by step."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Self

from contracts.channels import Channel
from contracts.state import Pace
from servicekit.clock import utcnow
from servicekit.errors import Unavailable
from servicekit.failpoints import failpoint

from campaigns.campaign.domain import PaceOverride, Schedule, local_day
from campaigns.context import Context
from campaigns.dispatch import batch as batches
from campaigns.dispatch import publishing
from campaigns.dispatch.batch import Batch
from campaigns.dispatch.lease import Lease
from campaigns.dispatch.selecting import Chosen, Selection, choose
from campaigns.dispatch.window import allowance, not_after, window
from campaigns.outbox.rows import Row


async def carry_out(ctx: Context, lease: Lease, batch: Batch) -> int:
    """Announce, mark, read back, publish, close; also what an heir does with every open batch. Return the commands sent.

    Raises Unavailable and leaves the batch open, so that the next pass does the same again. Raises LeaseLost in a
    dispatcher that was slow or frozen: the campaign may have been paused since.
    """
    await ready(ctx, lease, batch)
    return await send(ctx, lease, batch)


async def ready(ctx: Context, lease: Lease, batch: Batch) -> None:
    """Announce an open batch, and mark its rows. Raises as `carry_out` does."""
    await batches.announce(ctx, batch)
    await lease.keep()
    if batch.not_after > utcnow():  # past it lanes would only cancel: the sweeper gives the rows back
        await batches.mark(ctx, batch)
        failpoint("dispatch.after_mark")


async def send(ctx: Context, lease: Lease, batch: Batch, rows: list[Row] | None = None) -> int:
    """Publish a batch that is ready, and close it; *rows* are known where they were just stored. Raises as `carry_out`."""
    sent = 0
    if batch.not_after > utcnow():
        found = batches.read_back(ctx, batch) if rows is None else _known(rows)
        sent = await publishing.publish(ctx, lease, batch, found)
    failpoint("dispatch.before_close")
    await batches.close(lease, batch)
    return sent


async def _known(rows: list[Row]) -> AsyncIterator[list[Row]]:
    yield rows


class Sending:
    """Publishes one batch while the store marks the next: `async with Sending(…) as sending`."""

    def __init__(self, ctx: Context, lease: Lease) -> None:
        """Nothing is on its way."""
        self.ctx, self.lease = ctx, lease
        self._task: asyncio.Task[int] | None = None
        self.full: set[str] = set()
        """Accounts whose queue refused a batch in this pass: it stays open, and the others go on."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        task = self._task
        if task is not None and kind is not None:
            task.cancel()  # its batch stays open: whoever has the lease does it again
            await asyncio.gather(task, return_exceptions=True)
        await self.done()

    async def put(self, batch: Batch, rows: list[Row] | None = None) -> None:
        """Begin to publish a batch that is ready, once the one before is out. Raises what that one met."""
        await self.done()
        self._task = asyncio.create_task(self._send(batch, rows), name=f"publish {batch.id}")

    async def done(self) -> None:
        """Wait until nothing is on its way. Raises what the last batch met."""
        task, self._task = self._task, None
        if task is not None and not task.cancelled():
            await task

    async def finish_open(self) -> None:
        """Do again, with the same ids, whatever a predecessor (or a full queue) left open."""
        for stored in list(self.lease.campaign["open"]):
            batch = Batch.of(stored)
            await ready(self.ctx, self.lease, batch)
            await self._send(batch)

    async def _send(self, batch: Batch, rows: list[Row] | None = None) -> int:
        try:
            return await send(self.ctx, self.lease, batch, rows)
        except Unavailable as error:
            if error.reason != "full":
                raise
            self.full.add(batch.account)
            return 0


async def dispatch_stretches(
    sending: Sending, account: str, room: int, incarnation: str, *, bulk: bool = True
) -> tuple[int, Selection]:
    """Dispatch at most *room* rows of an account; return how many went, and the last look at what is left."""
    ctx, lease, sent = sending.ctx, sending.lease, 0
    while True:
        now = utcnow()
        if account in sending.full:
            return sent, Selection(waiting=True, next_at=now + timedelta(seconds=1))
        limit = min(room - sent, _allowed(lease, account, now))
        found = await choose(ctx, lease, account, max(limit, 1), now)
        if found.chosen is None or limit <= 0 or lease.campaign["status"] != "processing":
            return sent, found
        batch = plan(ctx, lease, account, found.chosen, incarnation, bulk=bulk)
        await batches.open_batch(lease, batch, **_spent(lease, account, found.chosen.count, now))
        await ready(ctx, lease, batch)
        await sending.put(batch)
        sent += found.chosen.count


def plan(ctx: Context, lease: Lease, account: str, chosen: Chosen, incarnation: str, *, bulk: bool = True) -> Batch:
    """Return the batch for a stretch: the campaign's next k, and an end that leaves it time enough."""
    channel = Channel(lease.campaign["channel"])
    desired = ctx.accounts.desired(channel, account)
    pace = (desired.pace if desired else Pace()) if bulk else Pace()
    full = window(pace, ctx.settings.window_seconds)
    schedule = Schedule.model_validate(lease.campaign.get("schedule") or {})
    life = ctx.settings.not_after_seconds
    until = not_after(utcnow(), pace, full, life, schedule.end) if bulk else utcnow() + timedelta(seconds=life)
    return Batch(
        lease.id, account, str(channel), int(lease.campaign["k"]) + 1, chosen.first, chosen.last, until, incarnation
    )


def _allowed(lease: Lease, account: str, now: datetime) -> int:
    """Return how many rows the campaign's own pace and its messages per day still allow."""
    most = 1_000_000
    override = lease.campaign.get("pace")
    if override:
        seconds = PaceOverride.model_validate(override).seconds_per_message
        paced = (lease.campaign.get("paced_until") or {}).get(account)
        allowed = allowance({"seconds_per_message": seconds}, paced, now)
        most = most if allowed is None else allowed
    schedule = Schedule.model_validate(lease.campaign.get("schedule") or {})
    if schedule.per_day:
        today = lease.campaign.get("today") or {}
        used = int(today.get("n", 0)) if today.get("day") == local_day(schedule, now) else 0
        most = min(most, schedule.per_day - used)
    return most


def _spent(lease: Lease, account: str, count: int, now: datetime) -> dict[str, object]:
    """Return what opening a batch of *count* writes down of the campaign's own limits, in the same write."""
    spent: dict[str, object] = {}
    override = lease.campaign.get("pace")
    if override:
        seconds = PaceOverride.model_validate(override).seconds_per_message * count
        before = (lease.campaign.get("paced_until") or {}).get(account)
        spent[f"paced_until.{account}"] = max(now, before or now) + timedelta(seconds=seconds)
    schedule = Schedule.model_validate(lease.campaign.get("schedule") or {})
    if schedule.per_day:
        today, day = lease.campaign.get("today") or {}, local_day(schedule, now)
        spent["today"] = {"day": day, "n": (int(today.get("n", 0)) if today.get("day") == day else 0) + count}
    return spent
