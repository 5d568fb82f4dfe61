"""A dispatcher that is slow, or was frozen: it keeps its lease while it works, and stops once it has lost it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from campaigns.dispatch import batch as batches
from campaigns.dispatch import publishing, steps
from campaigns.dispatch.batch import Batch
from campaigns.dispatch.lease import Lease, LeaseLost, take
from campaigns.dispatch.selecting import choose
from servicekit.clock import utcnow

from tests.integration.campaigns.dispatch.kit import Service, running, until


@pytest.fixture
async def service(fresh_nats, mongo_url, fresh_db) -> AsyncIterator[Service]:
    async with running(fresh_nats, mongo_url, fresh_db, dispatch_lease_seconds=1.0) as made:
        yield made


async def leased(service: Service) -> tuple[Lease, Batch]:
    """Hold a campaign whose rows are there and not dispatched, and plan its first batch."""
    await service.account()
    await service.session("acc_1", "connecting")
    await until(lambda: service.ctx.accounts.unfit("email", "acc_1"))
    campaign = await service.campaign(40)
    await service.process(campaign)

    async def ready() -> Lease | None:
        if (await service.read(campaign))["counts"].get("pending"):
            return await take(service.ctx, campaign)
        return None

    lease = await until(ready)
    found = await choose(service.ctx, lease, "acc_1", 2_000, utcnow())
    return lease, steps.plan(service.ctx, lease, "acc_1", found.chosen, service.ctx.incarnations.get("email"))


async def test_the_lease_is_kept_while_many_commands_are_made(service: Service, monkeypatch):
    """Large bodies go by the media store, one by one: else two dispatchers would take turns for ever."""
    lease, batch = await leased(service)
    await batches.open_batch(lease, batch)
    quick = publishing.Commands.of

    async def slow(*args):
        await asyncio.sleep(0.07)
        return await quick(*args)

    monkeypatch.setattr(publishing.Commands, "of", slow)
    assert await steps.carry_out(service.ctx, lease, batch) == 40


async def test_a_late_dispatcher_publishes_nothing_of_a_campaign_that_was_paused_meanwhile(service: Service):
    lease, batch = await leased(service)
    await batches.open_batch(lease, batch)
    lane = service.lane()
    await service.call("POST", f"/v1/campaigns/{lease.id}/pause")
    await until(lambda: taken_over(service, lease))
    with pytest.raises(LeaseLost):
        await steps.carry_out(service.ctx, lease, batch)
    await service.session("acc_1")
    await asyncio.sleep(1)
    assert lane.seen == []
    assert {row["state"] for row in await service.rows(lease.id)} == {"pending"}


async def taken_over(service: Service, lease: Lease) -> bool:
    found = await service.ctx.db["campaigns"].find_one({"_id": lease.id})
    late = found["lease_until"] < utcnow() - timedelta(seconds=0.2)
    return found["epoch"] > lease.epoch and not found["open"] and late
