"""INBOX → use cases: one durable reader, in batches, each message judged by itself."""

import asyncio
import contextlib
from collections.abc import Iterator

from contracts.inbox import Bounced, Deleted, Delivered, Edited, Outcome, Received
from servicekit import delivery
from servicekit.failpoints import failpoint

from campaigns.context import Context
from campaigns.outbox import echoes, leftovers, outside, receipts, settle, usecases
from campaigns.outbox.again import Later, later_of, never

STREAM, DURABLE = "INBOX", "campaigns"
BATCH = 2_000
"""A range update reads its whole slice: the more of a slice's outcomes one of them settles, the better."""


class Turns:
    """Keeps batches that are handled side by side in order where it matters.

    A receipt, a bounce or an answer may name a row that the batch before is about to make (a command from outside).
    """

    def __init__(self) -> None:
        """Nobody went before."""
        self._last: asyncio.Event | None = None

    @contextlib.contextmanager
    def taken(self) -> Iterator[asyncio.Event | None]:
        """Enter with a batch's outcomes; gives what is set once those of the batch before are written, or have failed."""
        before, own = self._last, asyncio.Event()
        self._last = own
        try:
            yield before
        finally:
            own.set()


def subscribe(ctx: Context) -> None:
    """Declare the reader; it begins with the bus."""
    turns = Turns()

    async def handle(items: list[delivery.Received]) -> None:
        await hear(ctx, [item.data for item in items], turns, later_of(items))

    delivery.subscribe_batch(
        ctx.bus, stream=STREAM, durable=DURABLE, subjects=["inbox.>"], handler=handle, batch=BATCH, overlap=2,
        urgent=".received.",
    )  # fmt: skip


async def hear(ctx: Context, messages: list[object], turns: Turns | None = None, later: Later = never) -> None:
    """Take what came in, in any order and any number of times.

    *turns*: of batches handled side by side. *later*: how a message comes again that was heard too early.
    """
    outcomes = [m for m in messages if isinstance(m, Outcome)]
    failpoint("outbox.before_rows")
    with (turns or Turns()).taken() as before:
        made = await outside.rows_of(ctx, outcomes)
        await settle.apply(ctx, outcomes, made)
    failpoint("outbox.after_rows")
    if before is not None:
        await before.wait()
    await leftovers.purge_again(ctx, outcomes)
    receipted = await receipts.apply(ctx, [m for m in messages if isinstance(m, Delivered)], later)
    for bounced in (m for m in messages if isinstance(m, Bounced)):
        await usecases.on_bounce(ctx, bounced)
    replies = [o.row for o in outcomes if (o.campaign_id or "").startswith(usecases.DIRECT)]
    await usecases.tell_conversations(ctx, [*replies, *receipted])
    received = await echoes.without(ctx, [m for m in messages if isinstance(m, Received)], later)
    changed = [m for m in messages if isinstance(m, Edited | Deleted)]
    if received or changed:
        from campaigns.inbox import changes  # noqa: PLC0415  # the inbox calls the outbox too
        from campaigns.inbox.messaging import on_received  # noqa: PLC0415

        await on_received(ctx, received)
        await changes.apply(ctx, changed, later)
