"""SIGKILL in the middle of a campaign: every row ends, nothing arrives twice."""

import asyncio
import time

import pytest
from kurir.demo.rest import wait_for

RECIPIENTS = 2_000
CONNECTIONS = 8


async def sent(kurir, campaign):
    return (await kurir.rest.call("GET", "campaigns", f"/v1/campaigns/{campaign}"))["counts"].get("sent", 0)


async def test_killing_the_channel_in_the_middle_of_2000_messages(kurir):
    story = kurir.tell(RECIPIENTS)
    account = await story.account(pace={"per_second": 300, "connections": CONNECTIONS})
    campaign = await story.campaign(account, await story.contacts())
    await wait_for("the first messages", lambda: at_least(kurir, 300), 60)
    await kurir.kill("channel-email")
    before = (await kurir.mail.counts())["received"]
    assert before < RECIPIENTS
    await kurir.start("channel-email")
    await story.watch(campaign)
    books = await kurir.books(campaign, story)
    assert books.sent + books.failed + books.unknown + books.cancelled == RECIPIENTS
    assert books.duplicates == 0
    assert books.unknown <= CONNECTIONS
    assert books.sent <= books.platform_received <= books.sent + books.unknown


async def at_least(kurir, count):
    return (await kurir.mail.counts())["received"] >= count


async def test_worker_off_stops_at_once_also_across_a_restart_of_the_bus(kurir):
    story = kurir.tell(400)
    account = await story.account(pace={"per_second": 40, "connections": 4})
    campaign = await story.campaign(account, await story.contacts())
    await wait_for("the first messages", lambda: at_least(kurir, 40), 60)
    await kurir.rest.call("PUT", "accounts", f"/v1/accounts/{account}/worker", json={"on": False})
    await wait_for("the lane to say off", lambda: worker_is(kurir, account, "off"), 10)
    stopped_at = (await kurir.mail.counts())["received"]
    assert stopped_at < 300
    await asyncio.sleep(2)
    await kurir.kill("nats")
    await asyncio.sleep(1)
    await kurir.start("nats")
    await asyncio.sleep(6)
    assert (await kurir.mail.counts())["received"] == stopped_at
    await wait_for("the services to be back", lambda: ready(kurir), 30)
    await kurir.rest.call("PUT", "accounts", f"/v1/accounts/{account}/worker", json={"on": True})
    await story.watch(campaign)
    books = await kurir.books(campaign, story)
    assert (books.sent, books.platform_received, books.duplicates) == (400, 400, 0)


async def worker_is(kurir, account, state):
    return (await kurir.rest.call("GET", "accounts", f"/v1/accounts/{account}/session")).get("worker") == state


async def ready(kurir):
    for url in kurir.platform.state()["services"].values():
        if (await kurir.rest.http.get(f"{url}/readyz")).status_code != 200:
            return False
    return True


@pytest.mark.full
async def test_killing_each_service_the_bus_and_the_store_in_turn_loses_nothing(kurir):
    story = kurir.tell(600)
    account = await story.account(pace={"per_second": 60, "connections": 4})
    campaign = await story.campaign(account, await story.contacts())
    await wait_for("the first messages", lambda: at_least(kurir, 30), 60)
    for name in ("campaigns", "nats", "store", "accounts"):
        await kurir.kill(name)
        await asyncio.sleep(0.5)
        await kurir.start(name)
        await asyncio.sleep(1.5)
    await story.watch(campaign)
    books = await kurir.books(campaign, story)
    assert books.sent + books.failed + books.unknown + books.cancelled == 600
    assert (books.duplicates, books.failed) == (0, 0)
    assert books.unknown <= 4


async def test_sigterm_ends_the_channel_within_ten_seconds_and_its_heir_goes_on(kurir):
    story = kurir.tell(300)
    account = await story.account(pace={"per_second": 60, "connections": 4})
    campaign = await story.campaign(account, await story.contacts())
    await wait_for("the first messages", lambda: at_least(kurir, 30), 60)
    assert await kurir.terminate("channel-email") < 10
    before = (await kurir.mail.counts())["received"]
    started = time.monotonic()
    await kurir.start("channel-email")
    await story.watch(campaign)
    assert time.monotonic() - started < 60
    books = await kurir.books(campaign, story)
    assert before < 300
    assert (books.sent, books.unknown, books.duplicates) == (300, 0, 0)
