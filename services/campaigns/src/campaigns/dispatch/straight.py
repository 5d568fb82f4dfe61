"""Rows whose account has room are stored queued already, in a batch opened for them: one write less for each.

Open, announce, insert instead of mark, publish, close. Whoever inherits the campaign does the batch again as it does
any other: what was stored is read back by batch and published; what was not is expanded once more.
"""

from collections import defaultdict
from collections.abc import Sequence

from contracts.channels import Channel
from servicekit.clock import utcnow

from campaigns.campaign import expansion
from campaigns.dispatch import batch as batches
from campaigns.dispatch.queues import Queues
from campaigns.dispatch.selecting import Chosen
from campaigns.dispatch.steps import Sending, plan
from campaigns.outbox.rows import Row

SMALLEST = 100
"""Fewer rows are stored pending: a batch costs some writes of its own."""


class Straight:
    """Queues rows while their campaign is expanded."""

    def __init__(self, sending: Sending, queues: Queues) -> None:
        """What is stored is published through *sending*."""
        self._sending, self._queues = sending, queues

    async def take(self, rows: Sequence[Row]) -> list[Row]:
        """Store and publish what may go at once, and return the rest. Raises Unavailable, LeaseLost."""
        rest = [row for row in rows if row["state"] != "pending"]
        slices: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            if row["state"] == "pending":
                slices[row["slice"]].append(row)
        for some in slices.values():
            room = await self._room(some[0]["account"]) if len(some) >= SMALLEST else 0
            if room >= SMALLEST:
                await self._queue(some[:room])
                rest += some[room:]
            else:
                rest += some
        return rest

    async def _room(self, account: str) -> int:
        ctx, lease = self._sending.ctx, self._sending.lease
        channel = Channel(lease.campaign["channel"])
        if lease.campaign["status"] != "processing" or ctx.incarnations.get(channel) is None:
            return 0
        if ctx.accounts.unfit(channel, account, now=utcnow()) is not None:
            return 0
        return (await self._queues.room(lease, account))[0]

    async def _queue(self, rows: list[Row]) -> None:
        ctx, lease, first = self._sending.ctx, self._sending.lease, rows[0]
        chosen = Chosen(first["number"], rows[-1]["number"], len(rows))
        channel = Channel(first["channel"])
        batch = plan(ctx, lease, first["account"], chosen, ctx.incarnations.get(channel) or "")
        await batches.open_batch(lease, batch)
        await batches.announce(ctx, batch)
        await lease.keep()
        marked = batches.marks(batch)
        for row in rows:
            row.update(marked)
        new = await expansion.store(ctx, rows)
        await self._sending.put(batch, rows if new else None)
        self._queues.added(channel, batch.account, len(rows))
