"""NATS wiped empty, the store restored from earlier, and both: what is known is learnt again, what is not is `unknown`.

Nothing leaves before a person has looked, and nothing that anybody still knows of arrives twice (architecture 3.12).
"""

import asyncio
import shutil

import pytest
from kurir import topology
from kurir.demo.rest import wait_for

from tests.support.inside import suppressed_on_the_bus

RECIPIENTS = 60
SERVICES = ("campaigns", "accounts", "channel-email")
UNSUBSCRIBED = "reply-1@elsewhere.test"


async def stop(kurir, *names):
    for name in names:
        await kurir.terminate(name)


async def start(kurir, *names):
    for name in names:
        await kurir.start(name)


async def back_up_the_store(kurir, folder):
    """Copy the store's folder, as it must be done: with everything that writes to it down."""
    await stop(kurir, *SERVICES, "store")
    shutil.copytree(kurir.platform.home.store, folder)
    await start(kurir, "store", *SERVICES)


async def wipe_the_bus(kurir):
    """Stop NATS, remove what it kept, start it, and make its streams and buckets as `kurir up` does."""
    await kurir.kill("nats")
    shutil.rmtree(kurir.platform.home.nats / "jetstream")
    await kurir.start("nats")
    await topology.apply(kurir.platform.endpoints.nats_url)


async def restore_the_store(kurir, folder):
    await stop(kurir, "store")
    shutil.rmtree(kurir.platform.home.store)
    shutil.copytree(folder, kurir.platform.home.store)
    await start(kurir, "store")


async def slow_campaign(kurir, recipients=RECIPIENTS):
    """Return story, account and campaign, some seconds into its sending."""
    story = kurir.tell(recipients)
    account = await story.account(pace={"per_second": 5, "connections": 2})
    address = {"channel": "email", "address": UNSUBSCRIBED}
    await kurir.rest.call("POST", "campaigns", "/v1/suppressions", json=address)
    campaign = await story.campaign(account, await story.contacts())
    await wait_for("the first messages", lambda: arrived(kurir, 10), 60)
    return story, account, campaign


async def arrived(kurir, count):
    return (await kurir.mail.counts())["received"] >= count


async def read(kurir, campaign):
    return await kurir.rest.call("GET", "campaigns", f"/v1/campaigns/{campaign}")


async def paused(kurir, campaign, reason):
    """Wait until a campaign is paused for this reason and holds nothing any more; return its counts."""

    async def ask():
        found = await read(kurir, campaign)
        still = found["status"] == "paused" and not found["counts"].get("queued")
        return found if still and (found["attention"] or {}).get("reason") == reason else None

    return await wait_for(f"the campaign to be paused: {reason}", ask, 60)


async def nothing_leaves(kurir, seconds=3):
    before = (await kurir.mail.counts())["received"]
    await asyncio.sleep(seconds)
    assert (await kurir.mail.counts())["received"] == before


async def account_ready(kurir, account):
    async def ask():
        session = await kurir.rest.call("GET", "accounts", f"/v1/accounts/{account}/session")
        return session.get("status") == "ready"

    await wait_for("the account to be ready again", ask, 60)


async def resume(kurir, campaign):
    await kurir.rest.call("POST", "campaigns", f"/v1/campaigns/{campaign}/resume")


async def later_in_the_day(kurir, campaign, draft):
    """Do what the backup knows nothing of: one campaign goes on, a second begins, the first is queued behind it."""
    before = (await kurir.mail.counts())["received"]
    await wait_for("some more of the first", lambda: arrived(kurir, before + 5), 60)
    await kurir.rest.call("POST", "campaigns", f"/v1/campaigns/{campaign}/pause")
    await wait_for("the pause", lambda: has(kurir, campaign, "queued", 0, 0), 30)
    await kurir.rest.call("POST", "campaigns", f"/v1/campaigns/{draft}/process")
    await wait_for("some of the second", lambda: has(kurir, draft, "sent", 5, RECIPIENTS), 60)
    await resume(kurir, campaign)
    await wait_for("the first to be queued again", lambda: has(kurir, campaign, "queued", 5, RECIPIENTS), 30)
    assert await has(kurir, draft, "queued", 5, RECIPIENTS)


async def has(kurir, campaign, state, least, most):
    return least <= (await read(kurir, campaign))["counts"].get(state, 0) <= most


@pytest.mark.full
async def test_a_store_restored_from_earlier_learns_what_went_out_since_and_nothing_is_sent_twice(kurir, tmp_path):
    other = kurir.tell(RECIPIENTS)
    story, account, campaign = await slow_campaign(kurir)
    body = {"name": "Later", "channel": "email", "accounts": [account], "lists": [await other.contacts()],
            "subject": "s", "text": "t"}  # fmt: skip
    draft = (await kurir.rest.call("POST", "campaigns", "/v1/campaigns", json=body))["id"]
    await back_up_the_store(kurir, tmp_path / "backup")
    await account_ready(kurir, account)
    await later_in_the_day(kurir, campaign, draft)
    await stop(kurir, *SERVICES)
    await restore_the_store(kurir, tmp_path / "backup")
    await start(kurir, *SERVICES)
    found = await paused(kurir, campaign, "store_restored")
    assert found["attention"]["complete"]
    await account_ready(kurir, account)
    await nothing_leaves(kurir)
    learnt = await kurir.books(campaign, story)
    assert (learnt.unknown, learnt.failed, learnt.cancelled) == (0, 0, 0)
    assert learnt.sent == learnt.platform_received < (await kurir.mail.counts())["received"]
    await resume(kurir, campaign)
    await kurir.rest.call("POST", "campaigns", f"/v1/campaigns/{draft}/process")  # the backup says that it never went
    await story.watch(campaign)
    await other.watch(draft)
    for one, told in ((campaign, story), (draft, other)):
        books = await kurir.books(one, told)
        assert (books.sent, books.platform_received, books.duplicates) == (RECIPIENTS, RECIPIENTS, 0)


async def test_a_bus_wiped_empty_leaves_what_was_queued_unknown_and_the_rest_is_sent_after_resume(kurir):
    story, account, campaign = await slow_campaign(kurir)
    forbidden = await suppressed_on_the_bus(kurir)
    await wipe_the_bus(kurir)
    found = await paused(kurir, campaign, "bus_lost")
    assert 0 < found["counts"]["unknown"] <= RECIPIENTS - 10
    await account_ready(kurir, account)  # its desired state was projected, and its password could be opened
    assert await suppressed_on_the_bus(kurir) == forbidden != set()
    await nothing_leaves(kurir)
    await resume(kurir, campaign)
    await story.watch(campaign)
    books = await kurir.books(campaign, story)
    assert (books.sent + books.unknown, books.failed, books.duplicates) == (RECIPIENTS, 0, 0)
    assert books.sent <= books.platform_received <= books.sent + 4  # what was out when its answer was lost
    rows = [r async for r in kurir.rest.items("campaigns", "/v1/outbox", campaign=campaign, state="unknown", limit=100)]
    assert {row["reason"] for row in rows} == {"bus_lost"}
    one = rows[-1]["id"]
    again = {"accept_second_copy": True}
    await kurir.rest.call("POST", "campaigns", f"/v1/outbox/{one}/retry", json=again)

    async def sent_again():
        return (await kurir.rest.call("GET", "campaigns", f"/v1/outbox/{one}"))["state"] in ("sent", "delivered")

    await wait_for("the one a person asked for", sent_again, 30)


@pytest.mark.full
async def test_both_lost_pauses_everything_and_says_what_nobody_can_know(kurir, tmp_path):
    story, account, campaign = await slow_campaign(kurir)
    await back_up_the_store(kurir, tmp_path / "backup")
    await wait_for("some more", lambda: arrived(kurir, 25), 60)
    await stop(kurir, *SERVICES)
    await restore_the_store(kurir, tmp_path / "backup")
    await wipe_the_bus(kurir)
    await start(kurir, *SERVICES)
    counts = (await paused(kurir, campaign, "bus_lost"))["counts"]
    assert counts["unknown"] > 0
    assert counts["unknown"] + counts.get("sent", 0) + counts.get("pending", 0) == RECIPIENTS
    await account_ready(kurir, account)
    assert await suppressed_on_the_bus(kurir)
    await nothing_leaves(kurir)
    assert (await kurir.books(campaign, story)).duplicates == 0
