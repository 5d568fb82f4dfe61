"""Schedules, several accounts and replicas, outages in the middle, large bodies, and what the outbox shows."""

import asyncio
from datetime import timedelta

import orjson
from contracts.state import Pace
from servicekit.clock import utcnow
from servicekit.objects import ObjectBucket

from tests.integration.campaigns.dispatch.kit import Service, running, until


async def test_a_scheduled_campaign_waits_and_an_earlier_start_is_obeyed(service: Service):
    await service.account()
    lane = service.lane()
    tomorrow = (utcnow() + timedelta(days=1)).isoformat()
    campaign = await service.campaign(3, schedule={"start": tomorrow})
    assert (await service.process(campaign))["status"] == "scheduled"
    await asyncio.sleep(0.6)
    assert not lane.seen

    found = await service.read(campaign)
    soon = {"schedule": {"start": (utcnow() + timedelta(seconds=0.5)).isoformat()}, "version": found["version"]}
    await service.call("PATCH", f"/v1/campaigns/{campaign}", json=soon)

    assert (await service.status(campaign, "done"))["counts"] == {"sent": 3}


async def test_outside_its_sending_hours_nothing_leaves(service: Service):
    await service.account()
    lane = service.lane()
    other_day = [(utcnow().weekday() + 3) % 7]
    hours = {"start": "00:00", "end": "23:59", "time_zone": "UTC", "days": other_day}
    campaign = await service.campaign(3, schedule={"hours": hours})
    await service.process(campaign)
    await until(lambda: _pending(service, campaign, 3))
    await asyncio.sleep(0.6)
    assert not lane.seen


async def _pending(service: Service, campaign: str, wanted: int) -> bool:
    return len(await service.rows(campaign, state="pending")) == wanted


async def test_a_campaign_whose_end_has_come_pauses_and_says_why(service: Service):
    await service.account()
    lane = service.lane()
    lane.hold.clear()
    end = (utcnow() + timedelta(seconds=1.5)).isoformat()
    campaign = await service.campaign(3, schedule={"end": end})
    await service.process(campaign)

    found = await service.status(campaign, "paused")
    assert found["attention"] == {"reason": "schedule_ended"}
    await until(lambda: _pending(service, campaign, 3))


async def test_messages_per_day_are_counted(service: Service):
    await service.account()
    lane = service.lane()
    campaign = await service.campaign(10, schedule={"per_day": 4})
    await service.process(campaign)
    await until(lambda: len(lane.delivered) == 4)
    await asyncio.sleep(1.0)
    assert len(lane.delivered) == 4
    await until(lambda: _pending(service, campaign, 6))


async def test_a_slower_pace_of_the_campaign_itself_is_kept(service: Service):
    await service.account()
    lane = service.lane()
    campaign = await service.campaign(200, pace={"per_second": 5})
    await service.process(campaign)
    await until(lambda: len(lane.delivered) >= 50)
    await asyncio.sleep(1.5)
    assert len(lane.delivered) == 50  # ten seconds of it at once, then no more


async def test_recipients_are_spread_over_the_accounts_and_one_that_is_off_holds_back_no_other(service: Service):
    for name in ("acc_1", "acc_2", "acc_3"):
        await service.account(name)
        service.lane(name)
    await service.session("acc_2", "logged_out")
    await until(lambda: service.ctx.accounts.unfit("email", "acc_2"))
    campaign = await service.campaign(60, accounts=("acc_1", "acc_2", "acc_3"))
    await service.process(campaign)

    waiting = await until(lambda: _only_waiting(service, campaign))
    assert 8 < len(waiting) < 35
    assert {row["account"] for row in waiting} == {"acc_2"}
    await service.session("acc_2")
    assert (await service.status(campaign, "done"))["counts"] == {"sent": 60}


async def _only_waiting(service: Service, campaign: str):
    rows = await service.rows(campaign)
    waiting = [row for row in rows if row["state"] == "pending"]
    sent = sum(row["state"] == "sent" for row in rows)
    return waiting if sent and len(waiting) + sent == len(rows) else None


async def test_two_replicas_send_each_message_once(service: Service, mongo_url: str, fresh_db: str):
    async with running(service.nats, mongo_url, fresh_db) as other:
        await service.account()
        await until(lambda: other.ctx.accounts.desired("email", "acc_1"))
        lane = service.lane()
        campaigns = [await service.campaign(150) for _ in range(3)]
        for campaign in campaigns:
            await other.process(campaign)
        for campaign in campaigns:
            assert (await service.status(campaign, "done", 40))["counts"] == {"sent": 150}
        assert len(lane.delivered) == 450
        assert set(lane.delivered.values()) == {1}


async def test_two_campaigns_share_an_accounts_window(service: Service):
    await service.account(pace=Pace(per_second=0.2))  # a window of 60
    await service.session("acc_1", "connecting")
    await until(lambda: service.ctx.accounts.unfit("email", "acc_1"))
    first, second = await service.campaign(100), await service.campaign(100)
    for campaign in (first, second):
        await service.process(campaign)
        await until(lambda campaign=campaign: _pending(service, campaign, 100))
    await service.session("acc_1")
    await until(lambda: _queued_sum(service, (first, second), 60))
    assert all([len(await service.rows(c, state="queued")) >= 15 for c in (first, second)])  # it awaits


async def _queued_sum(service: Service, campaigns, wanted: int) -> bool:
    return sum([len(await service.rows(c, state="queued")) for c in campaigns]) == wanted


async def test_nats_killed_in_the_middle_loses_and_doubles_nothing(service: Service):
    await service.account()
    lane = service.lane()
    campaign = await service.campaign(1_500)
    await service.process(campaign)
    await until(lambda: len(lane.delivered) > 100)
    service.nats.restart()
    await lane.stop()  # its pulls hung; a real lane reissues them
    lane.start()

    assert (await service.status(campaign, "done", 60))["counts"] == {"sent": 1_500}
    assert set(lane.delivered.values()) == {1}


async def test_a_store_killed_in_the_middle_loses_and_doubles_nothing(fresh_nats, fresh_store):
    async with running(fresh_nats, fresh_store.url, "kurir") as service:
        await service.account()
        lane = service.lane()
        campaign = await service.campaign(1_500)
        await service.process(campaign)
        await until(lambda: len(lane.delivered) > 100)
        fresh_store.restart()

        assert (await service.status(campaign, "done", 60))["counts"] == {"sent": 1_500}
        assert set(lane.delivered.values()) == {1}


async def test_a_large_body_goes_by_the_media_store(service: Service):
    await service.account()
    lane = service.lane()
    campaign = await service.campaign(2, text="Hi {{ name }}", html="<p>{{ name }}</p>" + "x" * 120_000 * 1)
    found = await service.read(campaign)
    big = {
        "html": "<p>{{ name }}" + "{% for i in (1..4) %}" + "y" * 70_000 + "{% endfor %}",
        "version": found["version"],
    }
    await service.call("PATCH", f"/v1/campaigns/{campaign}", json=big)
    await service.process(campaign)
    await service.status(campaign, "done")

    content = lane.seen[0].content
    assert (content.text, content.html) == ("", None)
    body = orjson.loads(await ObjectBucket(service.bus, "media").get(content.body_object))
    assert len(body["html"]) > 280_000
    assert body["text"].startswith("Hi Orang")


async def test_attachments_of_all_and_of_one(service: Service):
    await service.account()
    lane = service.lane()
    ids = []
    for name in ("price.pdf", "own.pdf"):
        made = await service.call("POST", "/v1/media", files={"file": (name, name.encode(), "application/pdf")})
        ids.append(made["id"])
    campaign = await service.campaign(1, attachments=[ids[0]], attachment_column="file")
    lines = f"name,email,city,file\nA,a@example.com,X,{ids[1]}\nB,b@example.com,X,\nC,c@example.com,X,nothing\n"
    await service.call("PUT", f"/v1/campaigns/{campaign}/file", content=lines.encode())
    await service.process(campaign)

    assert (await service.status(campaign, "done"))["counts"] == {"sent": 2, "failed": 1}
    names = {c.to.address: [a.filename for a in c.content.attachments] for c in lane.seen}
    assert names == {"a@example.com": ["price.pdf", "own.pdf"], "b@example.com": ["price.pdf"]}


async def test_the_outbox_lists_by_state_text_and_time_page_by_page(service: Service):
    await service.account()
    campaign = await service.campaign(25)
    await service.process(campaign)
    await until(lambda: _queued_sum(service, (campaign,), 25))
    seen, cursor = [], None
    while True:
        params = {"campaign": campaign, "limit": 10, **({"cursor": cursor} if cursor else {})}
        page = await service.call("GET", "/v1/outbox", params=params)
        seen += [row["id"] for row in page["items"]]
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert len(seen) == len(set(seen)) == 25
    assert {(row["text"], row["campaign_name"]) for row in page["items"][-1:]} == {
        ("Kopi untuk Orang 0 di Kota 0", "Kopi")
    }

    for q in ("P7@exa", "orang 7"):
        found = await service.call("GET", "/v1/outbox", params={"q": q, "account": "acc_1"})
        assert [row["to"]["address"] for row in found["items"]] == ["p7@example.com"]
    later = {"since": (utcnow() + timedelta(minutes=1)).isoformat()}
    assert not (await service.call("GET", "/v1/outbox", params=later))["items"]
    flying = (await service.rows(campaign))[0]
    await service.session("acc_1", in_flight=[f"{flying['_id']}.1"], queue_length=25)
    await until(lambda: service.ctx.accounts.session("email", "acc_1").in_flight)
    shown = await service.call("GET", f"/v1/outbox/{flying['_id']}")
    assert (shown["state"], shown["content"]["text"]) == ("sending", "Kopi untuk Orang 0 di Kota 0")
    assert (await service.call("GET", "/v1/outbox/queues"))["items"][0]["queue_length"] == 25
    await service.call("GET", "/v1/outbox", params={"cursor": "nonsense"}, expect=422)


async def test_changes_are_told_to_live_pages(service: Service):
    await service.account()
    service.lane()
    kinds: set[str] = set()

    async def listen() -> None:
        async for event in service.ctx.hub.events():
            if event is not None:
                kinds.add(event.kind)

    task = asyncio.create_task(listen())
    campaign = await service.campaign(2)
    await service.process(campaign)
    await service.status(campaign, "done")
    task.cancel()
    assert {"campaign", "row"} <= kinds
