"""A campaign's counts never go back to an older reading of its slices."""

import asyncio

import pytest
from campaigns.outbox import counts
from campaigns.outbox.zones import SLICES

from tests.integration.campaigns.dispatch.kit import running, until


@pytest.fixture
async def service(fresh_nats, mongo_url, fresh_db):
    async with running(fresh_nats, mongo_url, fresh_db) as made:
        yield made


async def test_a_reader_that_was_slow_to_write_does_not_bring_back_what_it_read(service, monkeypatch):
    await service.account()
    campaign = await service.campaign(5)
    slow, go_on, total = asyncio.Event(), asyncio.Event(), counts.total

    async def publish_slowly() -> None:
        ctx = service.ctx
        before = await ctx.db["campaigns"].find_one({"_id": campaign})
        slices = [one async for one in ctx.db[SLICES].find({"campaign": campaign})]
        slow.set()
        await go_on.wait()
        monkeypatch.setattr(counts, "total", lambda _: total(slices))
        monkeypatch.setattr(counts, "_reading", lambda _: sum(int(s.get("counted", 0)) for s in slices))
        await counts.publish(ctx, campaign)
        monkeypatch.undo()
        assert before is not None

    task = asyncio.create_task(publish_slowly())
    await slow.wait()
    service.lane()
    await service.process(campaign)
    await until(lambda: done(service, campaign))
    go_on.set()
    await task
    assert (await service.ctx.db["campaigns"].find_one({"_id": campaign}))["counts"] == {"sent": 5}


async def done(service, campaign):
    return (await service.ctx.db["campaigns"].find_one({"_id": campaign}))["counts"] == {"sent": 5}
