"""A campaign from its draft to its end."""

from tests.integration.campaigns.dispatch.kit import Service, failed, sent, until


async def test_a_campaign_goes_out_and_ends_counted(service: Service):
    await service.account()
    lane = service.lane(decide=lambda c: failed(c) if c.to.address == "p3@example.com" else sent(c))
    campaign = await service.campaign(25)

    await service.process(campaign)
    done = await service.status(campaign, "done")

    assert done["counts"] == {"sent": 24, "failed": 1}
    assert done["progress"] == {"total": 25, "ended": 25, "percent": 100.0, "expanding": False}
    assert len(lane.delivered) == 24
    assert set(lane.delivered.values()) == {1}
    command = next(c for c in lane.seen if c.to.address == "p7@example.com")
    assert command.content.text == "Kopi untuk Orang 7 di Kota 7"
    assert command.content.subject in ("Hi Orang 7", "Halo Orang 7")
    assert command.unsubscribe_url.startswith("https://kurir.example/u/")


async def test_the_finished_campaign_is_announced_once(service: Service):
    await service.account()
    service.lane()
    campaign = await service.campaign(3)
    heard = await service.bus.js.pull_subscribe("evt.campaigns.campaign.finished.v1", "test", stream="EVENTS")

    await service.process(campaign)
    await service.status(campaign, "done")
    events = await heard.fetch(1, timeout=5)

    assert len(events) == 1
    assert campaign in events[0].data.decode()
    await until(lambda: _relayed(service, campaign))


async def _relayed(service: Service, campaign: str) -> bool:
    found = await service.ctx.db["campaigns"].find_one({"_id": campaign})
    return found["pending_events"] == [] and "relay_at" not in found
