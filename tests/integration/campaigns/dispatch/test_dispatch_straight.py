"""Rows go out while the rest of the audience is expanded: stored queued where their account has room, one write less."""

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import count

import pytest
from campaigns.campaign import expansion, recipients, validation
from campaigns.dispatch import batch as batches
from campaigns.dispatch import publishing, straight
from contracts.state import Pace

from tests.integration.campaigns.dispatch.kit import Service, running, until

ROWS, PART = 600, 100


@pytest.fixture
async def service(fresh_nats, mongo_url, fresh_db, monkeypatch) -> AsyncIterator[Service]:
    """Parts of a hundred, each slow enough to be met in the middle."""
    some = recipients._some

    def slowly(rows):
        time.sleep(0.05)
        return some(rows)

    monkeypatch.setattr(recipients, "LINES_AT_ONCE", PART)
    monkeypatch.setattr(recipients, "_some", slowly)
    monkeypatch.setattr(straight, "SMALLEST", 10)
    async with running(fresh_nats, mongo_url, fresh_db, dispatch_lease_seconds=2.0) as made:
        yield made


async def expanding(service: Service, campaign: str) -> int | None:
    """Return how many rows are stored, once some are and not yet all."""
    found = len(await service.rows(campaign))
    return found if 0 < found < ROWS else None


async def sent_once(service: Service, lane, campaign: str, rows: int = ROWS) -> None:
    """Wait for the end; every row left once, under a number of its own."""
    assert (await service.status(campaign, "done", 40))["counts"] == {"sent": rows}
    assert len({row["number"] for row in await service.rows(campaign)}) == rows
    assert len(lane.delivered) == rows
    assert set(lane.delivered.values()) == {1}


async def test_rows_leave_while_others_are_expanded_and_none_is_marked(service: Service, monkeypatch):
    marked = []
    mark = batches.mark

    async def counted(ctx, batch):
        done = await mark(ctx, batch)
        marked.append(done)
        return done

    monkeypatch.setattr(batches, "mark", counted)
    await service.account()
    lane = service.lane()
    campaign = await service.campaign(ROWS)
    await service.process(campaign)
    await until(lambda: expanding(service, campaign))
    await until(lambda: lane.delivered)
    assert len(await service.rows(campaign)) < ROWS
    await sent_once(service, lane, campaign)
    assert sum(marked) == 0


async def test_what_has_no_room_is_stored_pending_and_dispatched_later(service: Service):
    await service.account(pace=Pace(per_second=1.0))  # a window of 300
    lane = service.lane()
    lane.hold.clear()
    campaign = await service.campaign(ROWS)
    await service.process(campaign)
    await until(lambda: all_stored(service, campaign))
    states = [row["state"] for row in await service.rows(campaign)]
    assert (states.count("queued"), states.count("pending")) == (300, 300)
    lane.hold.set()
    await sent_once(service, lane, campaign)


async def all_stored(service: Service, campaign: str) -> bool:
    return len(await service.rows(campaign)) == ROWS


@pytest.mark.parametrize("where", ["announce", "insert", "inserted", "publish", "close"])
async def test_an_heir_finishes_the_batch_and_the_expansion(service: Service, monkeypatch, where: str):
    calls = count()

    def dies(target: object, name: str, *, after: bool = False):
        step = getattr(target, name)

        async def dying(*given):
            turn = next(calls)
            if turn == 2 and not after:
                raise RuntimeError("killed")
            found = await step(*given)
            if turn == 2:
                raise RuntimeError("killed")
            return found

        monkeypatch.setattr(target, name, dying)

    match where:
        case "announce":
            dies(batches, "announce")
        case "insert":
            dies(expansion, "store")
        case "inserted":
            dies(expansion, "store", after=True)
        case "publish":
            dies(publishing, "publish")
        case "close":
            dies(batches, "close")
    await service.account()
    lane = service.lane()
    campaign = await service.campaign(ROWS)
    await service.process(campaign)
    await sent_once(service, lane, campaign)
    assert next(calls) > 3


@pytest.mark.parametrize("how", ["pause", "cancel"])
async def test_a_campaign_is_stopped_while_it_is_expanded(service: Service, how: str):
    await service.account()
    lane = service.lane()
    lane.hold.clear()
    campaign = await service.campaign(ROWS)
    await service.process(campaign)
    await until(lambda: expanding(service, campaign))
    await service.call("POST", f"/v1/campaigns/{campaign}/{how}")
    ended = {"pause": "pending", "cancel": "cancelled"}[how]
    await until(lambda: all_in(service, campaign, ended))
    before = len(await service.rows(campaign))
    await asyncio.sleep(0.5)
    assert 0 < len(await service.rows(campaign)) == before < ROWS
    lane.hold.set()
    if how == "pause":
        await service.call("POST", f"/v1/campaigns/{campaign}/resume")
        await sent_once(service, lane, campaign)
    else:
        await asyncio.sleep(1)
        assert not lane.delivered


async def all_in(service: Service, campaign: str, state: str) -> bool:
    found = {row["state"] for row in await service.rows(campaign)}
    return found == {state}


async def test_everybody_is_looked_at_for_missing_variables_before_anything_is_stored(service: Service, monkeypatch):
    monkeypatch.setattr(validation, "CHECKED_AT_ONCE", PART)
    await service.account()
    lane = service.lane()
    campaign = await service.campaign(1)
    lines = [f"Orang {n},p{n}@example.com,{'' if n == 250 else 'Medan'}\n" for n in range(ROWS)]
    content = ("name,email,city\n" + "".join(lines)).encode()
    await service.call("PUT", f"/v1/campaigns/{campaign}/file", content=content)
    await service.process(campaign)
    paused = await service.status(campaign, "paused")
    lacking = [{"address": "p250@example.com", "missing": ["city"]}]
    assert paused["attention"] == {"reason": "missing_variables", "count": 1, "sample": lacking}
    assert await service.rows(campaign) == []
    await service.call("POST", f"/v1/campaigns/{campaign}/resume", params={"allow_missing": True})
    await sent_once(service, lane, campaign)
