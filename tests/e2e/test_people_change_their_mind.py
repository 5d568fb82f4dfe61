"""Pause, cancel and delete in the middle of a campaign; everything off for longer than a batch lives."""

import asyncio
import os

import pytest
from kurir.demo.rest import wait_for

from tests.support.live import live


async def counts(kurir, campaign):
    return await kurir.rest.call("GET", "campaigns", f"/v1/campaigns/{campaign}")


async def received(kurir):
    return (await kurir.mail.counts())["received"]


async def running_campaign(kurir, recipients, per_second):
    story = kurir.tell(recipients)
    account = await story.account(pace={"per_second": per_second, "connections": 2})
    campaign = await story.campaign(account, await story.contacts())

    async def begun():
        return await received(kurir) >= 20

    await wait_for("the first messages", begun, 60)
    return story, account, campaign


async def test_pause_during_a_batch_and_resume(kurir):
    story, _, campaign = await running_campaign(kurir, 300, 30)
    await kurir.rest.call("POST", "campaigns", f"/v1/campaigns/{campaign}/pause")
    await asyncio.sleep(2)
    stopped_at = await received(kurir)
    assert stopped_at < 250
    await asyncio.sleep(4)
    assert await received(kurir) == stopped_at
    assert (await counts(kurir, campaign))["status"] == "paused"
    await kurir.rest.call("POST", "campaigns", f"/v1/campaigns/{campaign}/resume")
    await story.watch(campaign)
    books = await kurir.books(campaign, story)
    assert (books.sent, books.platform_received, books.duplicates) == (300, 300, 0)


async def test_cancel_in_the_middle_ends_every_row(kurir):
    story, _, campaign = await running_campaign(kurir, 300, 30)
    await kurir.rest.call("POST", "campaigns", f"/v1/campaigns/{campaign}/cancel")

    async def ended():
        books = await kurir.books(campaign, story)
        return books if books.sent + books.failed + books.unknown + books.cancelled == 300 else None

    books = await wait_for("every row to end", ended, 60)
    assert books.cancelled > 0
    assert books.duplicates == 0
    assert books.platform_received == books.sent
    await asyncio.sleep(2)
    assert await received(kurir) == books.platform_received
    assert (await counts(kurir, campaign))["status"] == "cancelled"


async def test_deleting_an_account_with_a_full_lane_fails_what_was_queued(kurir):
    story, account, campaign = await running_campaign(kurir, 400, 10)
    await kurir.rest.call("DELETE", "accounts", f"/v1/accounts/{account}")

    async def gone():
        return (await kurir.rest.http.get(f"{kurir.rest.services['accounts']}/v1/accounts/{account}")).status_code in (
            404,
            410,
        )

    await wait_for("the account to be gone", gone, 60)

    async def ended():
        books = await kurir.books(campaign, story)
        return books if books.sent + books.failed + books.unknown + books.cancelled == 400 else None

    books = await wait_for("every row to end", ended, 60)
    assert books.failed > 300
    assert books.platform_received == books.sent
    reasons = {
        r["reason"] async for r in kurir.rest.items("campaigns", "/v1/outbox", campaign=campaign, state="failed")
    }
    assert reasons == {"account_deleted"}
    connection = await kurir.bus()
    stream = await connection.jetstream().stream_info("COMMANDS_EMAIL", subjects_filter=f"cmd.email.{account}.>")
    consumers = await connection.jetstream().consumers_info("COMMANDS_EMAIL")
    await connection.close()
    assert not stream.state.subjects
    assert [c.name for c in consumers if account in c.name] == []


@pytest.fixture
async def short_lived(tmp_path):
    """Yield a platform whose batches live 8 seconds."""
    changed = {
        "CAMPAIGNS_NOT_AFTER_SECONDS": "8",
        "CAMPAIGNS_SEND_TIMEOUT_SECONDS": "2",
        "CAMPAIGNS_SWEEP_EVERY_SECONDS": "2",
    }
    os.environ.update(changed)
    try:
        async with live(tmp_path / "kurir") as running:
            yield running
    finally:
        for name in changed:
            os.environ.pop(name)


async def test_everything_off_for_longer_than_a_batch_lives_sends_no_second_copy(short_lived):
    kurir = short_lived
    story, _, campaign = await running_campaign(kurir, 200, 25)
    for name in ("channel-email", "campaigns", "accounts"):
        await kurir.kill(name)
    assert await received(kurir) < 200
    await asyncio.sleep(9)
    for name in ("accounts", "campaigns", "channel-email"):
        await kurir.start(name)
    await story.watch(campaign)
    books = await kurir.books(campaign, story)
    assert books.sent + books.unknown == 200
    assert books.unknown <= 2
    assert books.duplicates == 0
