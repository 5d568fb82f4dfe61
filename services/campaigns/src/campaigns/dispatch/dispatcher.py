"""The dispatcher: looks at each campaign that is due, under its lease, and decides when to look again."""

import asyncio
import contextlib
import functools
from datetime import datetime, timedelta

from contracts.channels import Channel
from servicekit.clock import utcnow
from servicekit.errors import Unavailable

from campaigns.campaign import expansion
from campaigns.campaign.domain import Schedule, is_open
from campaigns.campaign.store import collection, move
from campaigns.context import Context
from campaigns.dispatch import finishing, gone, lost, recall, steps
from campaigns.dispatch.lease import Lease, LeaseLost, take
from campaigns.dispatch.queues import Queues
from campaigns.dispatch.straight import Straight
from campaigns.outbox import counts

POLL_SECONDS = 0.25
CAMPAIGNS_AT_ONCE, DIRECT_AT_ONCE = 8, 16
"""A person's reply never waits for a large campaign's pass."""
SOON, LATER = 0.5, 2.0


class Dispatcher:
    """One per process; any number of processes."""

    def __init__(self, ctx: Context) -> None:
        """Nothing is read yet."""
        self.ctx = ctx
        self.queues = Queues(ctx)
        self._running: dict[str, asyncio.Task[None]] = {}
        self._permits = {"campaign": asyncio.Semaphore(CAMPAIGNS_AT_ONCE), "direct": asyncio.Semaphore(DIRECT_AT_ONCE)}

    async def run(self) -> None:
        """Dispatch for ever; a background task."""
        try:
            while True:
                self.ctx.wake.clear()
                if self.ctx.bus.connected:
                    await self._start_due()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.ctx.wake.wait(), POLL_SECONDS)
        finally:
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _start_due(self) -> None:
        where = {"due_at": {"$lte": utcnow()}}
        due = await collection(self.ctx).find_list(where, {"kind": 1}, sort=[("due_at", 1)], limit=500)
        for campaign_id, kind in ((str(one["_id"]), str(one["kind"])) for one in due):
            if campaign_id not in self._running:
                task = asyncio.create_task(self._guarded(campaign_id, kind), name=f"dispatch {campaign_id}")
                self._running[campaign_id] = task
                task.add_done_callback(functools.partial(self._ended, campaign_id))

    def _ended(self, campaign_id: str, _: asyncio.Task[None]) -> None:
        self._running.pop(campaign_id, None)
        self.ctx.wake.set()  # it may be due again at once

    async def _guarded(self, campaign_id: str, kind: str) -> None:
        async with self._permits[kind]:
            try:
                await self.once(campaign_id)
            except LeaseLost:
                self.ctx.log.info("another dispatcher has the campaign", campaign=campaign_id)
            except Unavailable as error:
                self.ctx.log.warning("dispatch waits", campaign=campaign_id, error=str(error))
                await asyncio.sleep(SOON)
            except Exception:
                self.ctx.log.exception("dispatch failed", campaign=campaign_id)
                await asyncio.sleep(LATER)

    async def once(self, campaign_id: str) -> None:
        """Make one pass over a campaign, if its lease is free."""
        lease = await take(self.ctx, campaign_id)
        if lease is None:
            return
        again: float | datetime | None = LATER
        try:
            again = await self._pass(lease)
        except LeaseLost:
            raise
        except BaseException:
            await asyncio.shield(self._released(lease, SOON))
            raise
        await self._released(lease, again)

    async def _released(self, lease: Lease, again: float | datetime | None) -> None:
        due = utcnow() + timedelta(seconds=again) if isinstance(again, int | float) else again
        await lease.release(due)

    async def _pass(self, lease: Lease) -> float | datetime | None:
        """Return after how many seconds, or when, or (None) only when woken, to look again."""
        status = lease.campaign["status"]
        start = (lease.campaign.get("schedule") or {}).get("start")
        if status in ("scheduled", "processing") and start and start > utcnow():
            return start if isinstance(start, datetime) else None
        if status == "scheduled":
            await move(self.ctx, lease.id, ("scheduled",), "processing", started_at=utcnow())
            return 0
        if status == "processing":
            return await self._process(lease)
        if status in ("paused", "cancelled"):
            await gone.settle(self.ctx, lease)
            return await self._withdraw(lease, status)
        return None

    async def _withdraw(self, lease: Lease, status: str) -> float | None:
        if status == "cancelled":
            await recall.note_all(self.ctx, lease)
            await recall.end_pending(self.ctx, lease, "cancelled", "cancelled")
        asked = await recall.recall(self.ctx, lease, status)
        return LATER if asked else None

    async def _process(self, lease: Lease) -> float | datetime | None:
        ctx = self.ctx
        await gone.settle(ctx, lease)
        async with steps.Sending(ctx, lease) as sending:
            await sending.finish_open()
            rest = await self._resting(lease)
            expanded = await self._expanded(lease, sending, resting=rest is not None)
            if expanded is None:
                return 0 if lease.campaign["status"] == "processing" else None
            if rest is not None:
                return rest if expanded else 0
            accounts = await self._accounts(lease)
            found = [await self._account(lease, account, sending) for account in accounts]
        times = [when for when in found if when is not None]
        if not expanded:
            return 0
        if lease.campaign["kind"] == "direct":
            return min(times) if times else None
        if not accounts:
            if await finishing.finish(ctx, lease):
                return None
            await lost.find(ctx, lease)
        return min([*times, utcnow() + timedelta(seconds=LATER)])

    async def _expanded(self, lease: Lease, sending: steps.Sending, *, resting: bool) -> bool | None:
        """Return whether every row is there, None where not even those that are may be dispatched yet."""
        campaign = lease.campaign
        if campaign["kind"] == "direct" or (campaign.get("expansion") or {}).get("phase") == "done":
            return True
        limited = campaign.get("pace") or (campaign.get("schedule") or {}).get("per_day")
        straight = None if resting or limited else Straight(sending, self.queues)
        if await expansion.advance(self.ctx, lease, straight):
            return True
        waits = lease.campaign["status"] != "processing" or lease.campaign["expansion"]["phase"] == "check"
        return None if waits else False

    async def _resting(self, lease: Lease) -> float | datetime | None:
        """Return when to look again if the schedule forbids sending now. Past its end a campaign pauses."""
        schedule, now = Schedule.model_validate(lease.campaign.get("schedule") or {}), utcnow()
        if schedule.end and now >= schedule.end:
            if await finishing.finish(self.ctx, lease):
                return LATER
            attention = {"reason": "schedule_ended"}
            await move(self.ctx, lease.id, ("processing",), "paused", attention=attention)
            return 0
        if not is_open(schedule.hours, now):
            return now + timedelta(seconds=30)
        return None

    async def _accounts(self, lease: Lease) -> list[str]:
        if lease.campaign["kind"] == "direct":
            return list(lease.campaign["accounts"])
        return sorted(await counts.accounts_with(self.ctx, lease.id, "pending"))

    async def _look_again(self, lease: Lease, account: str) -> None:
        """The counts promise pending rows and none was found: count anew, and begin at the slices they named."""
        names = await counts.slices_with(self.ctx, lease.id, "pending", account)
        await counts.touch(self.ctx, names)
        if names:
            lease.low[account] = min(int(name.rsplit(".", 1)[1]) for name in names)

    async def _account(self, lease: Lease, account: str, sending: steps.Sending) -> datetime | None:
        """Dispatch what fits into one account's queue; return when to look at it again, None when nothing waits."""
        direct, channel = lease.campaign["kind"] == "direct", Channel(lease.campaign["channel"])
        now = utcnow()
        await lease.keep()
        incarnation = self.ctx.incarnations.get(channel)
        if incarnation is None or self.ctx.accounts.unfit(channel, account, bulk=not direct, now=now) is not None:
            return now + timedelta(seconds=1)
        room, rest = (1_000, SOON) if direct else await self.queues.room(lease, account)
        if room <= 0:
            return now + timedelta(seconds=rest)
        sent, left = await steps.dispatch_stretches(sending, account, room, incarnation, bulk=not direct)
        self.queues.added(channel, account, 0 if direct else sent)
        if left.chosen is None and not left.waiting:
            await self._look_again(lease, account)
        if left.chosen is not None:
            return utcnow() + timedelta(seconds=rest)
        return left.next_at
