"""Rows stored queued while their campaign is expanded: what may come between two lines of that."""

from datetime import timedelta
from typing import Any

import pytest
from campaigns.campaign import expansion
from campaigns.campaign.remembered import REMEMBERED
from campaigns.dispatch import finishing
from campaigns.dispatch import lease as leases
from campaigns.dispatch.queues import Queues
from campaigns.outbox import counts, direct
from campaigns.outbox.rows import ROWS
from contracts.commands import Content, Recipient
from contracts.ids import row_id
from servicekit.clock import utcnow

from tests.integration.campaigns.dispatch.kit import EMAIL, Service, until

MANY = 150


async def test_a_bus_forgotten_while_room_is_asked_for_leaves_no_batch_of_no_bus(service: Service, monkeypatch):
    room, forgotten = Queues.room, []

    async def reconnected(self, lease, account):
        found = await room(self, lease, account)
        if not forgotten:
            forgotten.append(account)
            service.ctx.incarnations.forget(EMAIL)
        return found

    monkeypatch.setattr(Queues, "room", reconnected)
    await service.account()
    lane = service.lane()
    campaign = await service.campaign(MANY)
    await service.process(campaign)
    assert (await service.status(campaign, "done", 15))["counts"] == {"sent": MANY}
    assert set(lane.delivered.values()) == {1}
    assert forgotten


async def test_a_row_that_a_restored_store_is_told_to_try_later_waits_until_then(service: Service):
    await service.account()
    service.lane()
    campaign = await service.campaign(MANY)
    later = {"state": "pending", "k": 0, "not_before": utcnow() + timedelta(hours=1), "tries": 2, "reason": "retry"}
    name = row_id(campaign, "p3@example.com")
    await service.ctx.db[REMEMBERED].insert_one({"_id": name, **later})
    await service.process(campaign)
    await until(lambda: _in_state(service, campaign, "sent", MANY - 1))
    row = await service.ctx.db[ROWS].find_one({"_id": name})
    assert (row["state"], row["tries"]) == ("pending", 2)


async def _in_state(service: Service, campaign: str, state: str, rows: int) -> bool:
    return len(await service.rows(campaign, state=state)) == rows


async def test_cancelling_ends_rows_whose_slices_nobody_noted(service: Service, monkeypatch):
    """Who stored them died before the note, and the campaign was cancelled before the part was done again."""

    async def dies(ctx, rows):
        await ctx.db[ROWS].insert_many(rows)
        await service.call("POST", f"/v1/campaigns/{campaign}/cancel")
        raise RuntimeError("killed")

    monkeypatch.setattr(expansion, "store", dies)
    await service.account(worker=False)  # so they are stored pending
    campaign = await service.campaign(20)
    await service.process(campaign)
    await until(lambda: _in_state(service, campaign, "cancelled", 20))


@pytest.mark.parametrize("state", ["pending", "queued"])
async def test_a_campaign_is_not_finished_on_counts_that_could_not_be_kept(service: Service, monkeypatch, state: str):
    """Outcomes touch a slice each time it is counted: what its document says is older than its rows."""
    await service.account()
    lane = service.lane()
    campaign = await service.campaign(20)
    await service.process(campaign)
    await service.status(campaign, "done")
    await lane.stop()
    ctx = service.ctx
    summary = counts.zones.summary

    async def touched_meanwhile(ctx, name):
        found = await summary(ctx, name)
        await counts.touch(ctx, [name])
        return found

    monkeypatch.setattr(counts.zones, "summary", touched_meanwhile)
    monkeypatch.setattr(finishing.relay, "event", None)  # finishing would fail
    row = (await service.rows(campaign))[7]
    await ctx.db[ROWS].update_one({"_id": row["_id"]}, {"$set": {"state": state}})
    await ctx.db["campaigns"].update_one(
        {"_id": campaign}, {"$set": {"status": "processing"}, "$unset": {"due_at": ""}}
    )
    held = await leases.take(ctx, campaign)
    assert held is not None
    assert await finishing.finish(ctx, held) is False


async def test_what_is_larger_than_the_bus_takes_ends_alone(service: Service):
    """A body may lie in the media store, also one of characters that JSON writes sixfold; bubbles may not."""
    await service.account()
    lane = service.lane()

    async def answer(key: str, **content: Any) -> str:
        to = Recipient(address="siti@example.com")
        return await direct.enqueue(
            service.ctx, account_id="acc_1", channel=EMAIL, kind="reply", to=to, content=Content(**content), key=key
        )

    bubbles = await answer("a", bubbles=["x" * 100_000] * 12)
    escaped, small = await answer("b", text="\x01" * 200_000), await answer("c", text="Halo")
    await until(lambda: {f"{escaped}.0", f"{small}.0"} <= set(lane.delivered))
    row = await service.ctx.db[ROWS].find_one({"_id": bubbles})
    assert (row["state"], row["reason"]) == ("failed", "too_large")
