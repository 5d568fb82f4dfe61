"""A dispatcher that dies between any two of open, mark, publish and close: its heir does the same again, once."""

import asyncio
from collections.abc import AsyncIterator
from itertools import count

import pytest
from campaigns.campaign import expansion, recipients
from campaigns.dispatch import batch as batches
from campaigns.dispatch import publishing, steps
from campaigns.dispatch.batch import Batch
from campaigns.dispatch.lease import Lease, LeaseLost, take
from campaigns.dispatch.selecting import choose
from servicekit.clock import utcnow

from tests.integration.campaigns.dispatch.kit import Service, running, until

STEPS = ("open", "announce", "mark", "half", "publish")


@pytest.fixture
async def service(fresh_nats, mongo_url, fresh_db) -> AsyncIterator[Service]:
    async with running(fresh_nats, mongo_url, fresh_db, dispatch_lease_seconds=1.0) as made:
        yield made


async def leased(service: Service, campaign: str) -> Lease:
    """Take the lease as soon as it is free and the rows are there."""

    async def ready() -> Lease | None:
        if (await service.read(campaign))["counts"].get("pending"):
            return await take(service.ctx, campaign)
        return None

    return await until(ready)


async def begin(service: Service, lease: Lease) -> Batch:
    """Choose the first stretch, as a pass does."""
    found = await choose(service.ctx, lease, "acc_1", 2_000, utcnow())
    incarnation = service.ctx.incarnations.get("email")
    return steps.plan(service.ctx, lease, "acc_1", found.chosen, incarnation)


async def run_until(service: Service, lease: Lease, batch: Batch, stop: str) -> None:
    """Do the steps of a batch up to and including *stop*, then no more: what a SIGKILL leaves."""
    ctx = service.ctx
    await batches.open_batch(lease, batch)
    if stop == "open":
        return
    await batches.announce(ctx, batch)
    if stop == "announce":
        return
    await batches.mark(ctx, batch)
    if stop == "mark":
        return
    rows = [row async for some in batches.read_back(ctx, batch) for row in some]
    await publishing.publish(ctx, lease, batch, only(rows[: len(rows) // 2] if stop == "half" else rows))


async def only(rows) -> AsyncIterator[list[dict]]:
    yield rows


@pytest.mark.parametrize("stop", STEPS)
async def test_the_heir_carries_on_with_the_same_ids(service: Service, stop: str):
    await service.account()
    await service.session("acc_1", "connecting")
    await until(lambda: service.ctx.accounts.unfit("email", "acc_1"))
    lane = service.lane()
    campaign = await service.campaign(40)
    await service.process(campaign)
    lease = await leased(service, campaign)
    await run_until(service, lease, await begin(service, lease), stop)

    await service.session("acc_1")
    done = await service.status(campaign, "done")

    assert done["counts"] == {"sent": 40}
    assert set(lane.delivered.values()) == {1}
    assert len(lane.delivered) == 40
    assert {row["k"] for row in await service.rows(campaign)} == {1}


async def test_a_late_dispatcher_is_refused(service: Service):
    await service.account()
    campaign = await service.campaign(5)
    await service.session("acc_1", "connecting")
    await service.process(campaign)
    lease = await leased(service, campaign)
    batch = await begin(service, lease)
    await asyncio.sleep(1.1)
    assert await until(lambda: take(service.ctx, campaign))

    with pytest.raises(LeaseLost):
        await batches.open_batch(lease, batch)


async def test_an_outcome_may_come_before_the_batch_is_closed(service: Service):
    await service.account()
    await service.session("acc_1", "connecting")
    lane = service.lane()
    campaign = await service.campaign(10)
    await service.process(campaign)
    lease = await leased(service, campaign)
    batch = await begin(service, lease)
    await run_until(service, lease, batch, "publish")

    await until(lambda: len(lane.delivered) == 10)
    await until(lambda: _all_sent(service, campaign))  # and the batch is open still
    await service.session("acc_1")

    assert (await service.status(campaign, "done"))["counts"] == {"sent": 10}
    assert set(lane.delivered.values()) == {1}


async def _all_sent(service: Service, campaign: str) -> bool:
    return len(await service.rows(campaign, state="sent")) == 10


async def test_an_expansion_that_died_goes_on_without_doubles(service: Service, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recipients, "LINES_AT_ONCE", 7)
    missing, reserve, calls = expansion._missing, expansion.reserve_seq, count()

    def dies_after(*given):
        if next(calls) in (0, 2):  # the rows are stored, the cursor behind them is not
            raise RuntimeError("killed")
        return missing(*given)

    async def dies_before(*given):
        if next(calls) in (4, 7):  # the numbers are reserved, the rows are not stored
            raise RuntimeError("killed")
        return await reserve(*given)

    monkeypatch.setattr(expansion, "_missing", dies_after)
    monkeypatch.setattr(expansion, "reserve_seq", dies_before)
    await service.account()
    service.lane()
    campaign = await service.campaign(30)
    await service.process(campaign)

    done = await service.status(campaign, "done", 30)

    assert done["counts"] == {"sent": 30}
    rows = await service.rows(campaign)
    assert len({row["number"] for row in rows}) == 30
    assert done["expansion"]["entries"] == 30


async def test_rows_stored_and_never_noted_are_found(service: Service):
    """A process that dies between a change and its note leaves counts that are wrong, and hints that are too high."""
    await service.account()
    lane = service.lane()
    campaign = await service.campaign(6)
    await service.process(campaign)
    await service.status(campaign, "done")
    rows = await service.rows(campaign)
    again = {"state": "pending", "wanted": 1}
    await service.ctx.db["rows"].update_many({"_id": {"$in": [rows[0]["_id"], rows[1]["_id"]]}}, {"$set": again})
    phantom = {"counts": {"sent": 4, "pending": 2, "queued": 3}, "dirty": False}
    await service.ctx.db["slices"].update_many({"campaign": campaign}, {"$set": phantom})
    back = {"status": "processing", "low": {"acc_1": 7}, "due_at": utcnow()}
    await service.ctx.db["campaigns"].update_one({"_id": campaign}, {"$set": back, "$inc": {"touched": 1}})

    assert (await service.status(campaign, "done"))["counts"] == {"sent": 6}
    assert set(lane.delivered.values()) == {1}
    assert len(lane.delivered) == 8
