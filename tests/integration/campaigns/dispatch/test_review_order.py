"""Batches of INBOX are handled side by side: what names a row of the batch before waits for it."""

import asyncio

from campaigns.outbox import messaging, outside
from contracts.commands import Recipient
from contracts.inbox import Bounced, Delivered, Origin, Sent
from servicekit.clock import utcnow

from tests.integration.campaigns.dispatch.kit import EMAIL, Service


async def test_a_bounce_waits_for_the_row_that_the_batch_before_makes(service: Service, monkeypatch):
    rows_of, begun, go_on = outside.rows_of, asyncio.Event(), asyncio.Event()

    async def slowly(ctx, outcomes):
        if outcomes:
            begun.set()
            await go_on.wait()
        return await rows_of(ctx, outcomes)

    monkeypatch.setattr(outside, "rows_of", slowly)
    origin = Origin(source="shop", id="o1", to=Recipient(address="siti@example.com"))
    sent = Sent(
        account_id="acc_1", channel=EMAIL, row="shop.o1", batch="shop.o1", k=1, number=0, wanted=0, tries=1, at=utcnow(),
        outside=origin,
    )  # fmt: skip
    receipt = Delivered(account_id="acc_1", channel=EMAIL, row="shop.o1", wanted=0, at=utcnow())
    bounce = Bounced(
        account_id="acc_1", channel=EMAIL, row="shop.o1", hard=True, status="5.1.1", diagnostic="no such user",
        address="siti@example.com", at=utcnow(),
    )  # fmt: skip
    turns = messaging.Turns()
    first = asyncio.create_task(messaging.hear(service.ctx, [sent], turns))
    await begun.wait()
    second = asyncio.create_task(messaging.hear(service.ctx, [receipt, bounce], turns))
    await asyncio.sleep(0.3)
    go_on.set()
    await asyncio.gather(first, second)
    row = await service.ctx.db["rows"].find_one({"_id": "shop.o1"})
    assert row["state"] == "delivered"
    assert row["bounced"]["hard"]
