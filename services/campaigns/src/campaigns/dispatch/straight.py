"""Rows whose account has room are stored queued already, in a batch opened for them: one write less for each.

Open, announce, insert instead of mark, publish, close. Whoever inherits the campaign does the batch again as it does
any other: what was stored is read back by batch and published; what was not is expanded once more.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from contracts.channels import Channel
from servicekit.clock import utcnow
from servicekit.errors import Unavailable

from campaigns.campaign import expansion
from campaigns.dispatch import batch as batches
from campaigns.dispatch.queues import Queues
from campaigns.dispatch.selecting import Chosen
from campaigns.dispatch.steps import Sending, plan
from campaigns.outbox.rows import EPOCH, Row

SMALLEST = 100
"""Fewer rows are stored pending: a batch costs some writes of its own."""
TURNS, STILL, TURN_SECONDS = 20, 5, 0.1
"""How long room is waited for, and how soon a queue that nobody empties is told from a slow one."""
NEVER = 3_600.0


class Straight:
    """Queues rows while their campaign is expanded."""

    def __init__(self, sending: Sending, queues: Queues) -> None:
        """What is stored is published through *sending*."""
        self._sending, self._queues = sending, queues
        self._stuck: set[str] = set()

    async def take(self, rows: Sequence[Row]) -> list[Row]:
        """Store and publish what may go at once, and return the rest. Raises Unavailable, LeaseLost."""
        rest: list[Row] = []
        slices: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            if row["state"] == "pending" and row["not_before"] == EPOCH:
                slices[row["slice"]].append(row)
            else:
                rest.append(row)
        for some in slices.values():
            rest += await self._fill(some)
        return rest

    async def _fill(self, rows: list[Row]) -> list[Row]:
        """Queue rows of one slice as room comes, and return those for whom none came soon."""
        account = rows[0]["account"]
        if len(rows) < SMALLEST:
            return rows
        while rows and (room := await self._room_soon(account)) >= min(SMALLEST, len(rows)):
            await self._queue(rows[:room])
            rows = rows[room:]
        return rows

    async def _room_soon(self, account: str) -> int:
        """Return the room there is, waiting a moment for it where a queue is emptied fast: marking later costs a write."""
        (room, rest), before = await self._room(account), await self._length(account)
        for turn in range(TURNS):
            if room >= SMALLEST or rest > TURN_SECONDS or account in self._stuck:
                return room
            await asyncio.sleep(TURN_SECONDS)
            await self._sending.lease.keep()
            room, rest = await self._room(account)
            if turn >= STILL and await self._length(account) >= before:
                self._stuck.add(account)
        return room

    async def _length(self, account: str) -> int:
        return await self._queues.length(Channel(self._sending.lease.campaign["channel"]), account)

    async def _room(self, account: str) -> tuple[int, float]:
        ctx, lease = self._sending.ctx, self._sending.lease
        channel = Channel(lease.campaign["channel"])
        if lease.campaign["status"] != "processing" or ctx.incarnations.get(channel) is None:
            return 0, NEVER
        if account in self._sending.full or ctx.accounts.unfit(channel, account, now=utcnow()) is not None:
            return 0, NEVER
        return await self._queues.room(lease, account)

    async def _queue(self, rows: list[Row]) -> None:
        ctx, lease, first = self._sending.ctx, self._sending.lease, rows[0]
        chosen = Chosen(first["number"], rows[-1]["number"], len(rows))
        life = ctx.incarnations.get(first["channel"])
        if life is None:  # forgotten since room was asked for: a batch of no bus could never be published
            raise Unavailable(f"the bus of {first['channel']} is not verified")
        batch = plan(ctx, lease, first["account"], chosen, life)
        await batches.open_batch(lease, batch)
        await batches.announce(ctx, batch)
        await lease.keep()
        marked = batches.marks(batch)
        for row in rows:
            row.update(marked)
        new = await expansion.store(ctx, rows)
        await self._sending.put(batch, rows if new else None)
        self._queues.added(Channel(batch.channel), batch.account, len(rows))
