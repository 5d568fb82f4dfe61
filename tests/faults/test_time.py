"""Half a day passes while the worker is off: what was queued expires, is pending again, and is sent once at last."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from contracts import subjects
from contracts.channels import Channel
from kurir.demo.rest import wait_for

from tests.support.inside import database, ledger_entries
from tests.support.live import live
from tests.support.moving_clock import MovingClock

RECIPIENTS = 60
HOUR = 3_600.0


@pytest.fixture
def clock(tmp_path, monkeypatch):
    """Return the clock of the platform's services."""
    moved: dict[str, str] = {}
    made = MovingClock(tmp_path, moved)
    for name, value in {**moved, "CAMPAIGNS_SWEEP_EVERY_SECONDS": "1"}.items():
        monkeypatch.setenv(name, value)
    return made


@pytest.fixture
async def kurir(tmp_path, clock):
    """Yield a platform whose time the test moves."""
    async with live(tmp_path / "kurir") as running:
        yield running


async def switch(kurir, account, *, on):
    await kurir.rest.call("PUT", "accounts", f"/v1/accounts/{account}/worker", json={"on": on})
    wanted = "on" if on else "off"

    async def obeyed():
        session = await kurir.rest.call("GET", "accounts", f"/v1/accounts/{account}/session")
        return session.get("worker") == wanted

    await wait_for(f"the lane to say {wanted}", obeyed, 30)


async def counts(kurir, campaign):
    return (await kurir.rest.call("GET", "campaigns", f"/v1/campaigns/{campaign}"))["counts"]


async def received(kurir, at_least):
    return (await kurir.mail.counts())["received"] >= at_least


async def test_the_worker_off_for_half_a_day_expires_the_queue_and_each_message_is_sent_once(kurir, clock):
    story = kurir.tell(RECIPIENTS)
    account = await story.account(pace={"per_second": 4, "connections": 2})
    campaign = await story.campaign(account, await story.contacts())
    await wait_for("the first messages", lambda: received(kurir, 6), 60)
    await switch(kurir, account, on=False)
    left = (await kurir.mail.counts())["received"]
    assert (await counts(kurir, campaign))["queued"] >= RECIPIENTS - left - 5
    async with database(kurir) as db:
        batches = await db["batches"].find({"campaign": campaign}).to_list(None)
        overdue = max(b["not_after"] for b in batches) - datetime.now(UTC)
        clock.forward(overdue.total_seconds() + 120)

        async def expired():
            found = await counts(kurir, campaign)
            return not found.get("queued") and found["pending"] == RECIPIENTS - left

        await wait_for("the queue to expire", expired, 30)
        entries = await ledger_entries(kurir, account)
        gave_up = [e for e in entries.values() if e.state == "cancelled"]
        assert {e.reason for e in gave_up} == {"expired"}
        assert (len(gave_up), len(entries)) == (RECIPIENTS - left, RECIPIENTS)
    clock.forward(HOUR)

    async def forgotten():
        return not await ledger_entries(kurir, account)

    await wait_for("the ledger of the ended batches to be purged", forgotten, 30)
    assert (await kurir.mail.counts())["received"] == left
    await switch(kurir, account, on=True)
    await story.watch(campaign)
    books = await kurir.books(campaign, story)
    assert (books.sent, books.platform_received, books.duplicates) == (RECIPIENTS, RECIPIENTS, 0)
    clock.forward(HOUR + 60)
    first = {f"{account}.{b['_id']}." for b in batches}

    async def nothing_left():  # what the lane wrote about the commands it found expired
        return not [key for key in await ledger_entries(kurir, account) if key.startswith(tuple(first))]

    await wait_for("the ledger of the first batches to be purged again", nothing_left, 30)


def command(account, number, not_after):
    return {
        "id": f"order-{number}", "source": "crm", "account_id": account, "not_after": not_after.isoformat(),
        "to": {"address": f"late-{number}@practice.test"}, "content": {"subject": "s", "text": "t"},
    }  # fmt: skip


@pytest.mark.full
async def test_commands_from_outside_past_their_end_are_cancelled_and_never_dispatched_again(kurir, clock):
    account = await kurir.story.account(pace={"per_second": None, "connections": 2})
    await switch(kurir, account, on=False)
    connection = await kurir.bus()
    stream, now = connection.jetstream(), datetime.now(UTC)
    for number in range(10):  # of the odd ones, their sender says that they are still wanted
        until = now + timedelta(minutes=5 if number % 2 == 0 else 24 * 60)
        queue = "now" if number < 5 else "bulk"
        text = json.dumps(command(account, number, until)).encode()
        await stream.publish(subjects.send(Channel.EMAIL, account, queue), text)
    clock.forward(13 * HOUR)
    await switch(kurir, account, on=True)

    async def ended():
        params = {"account": account, "limit": 100}
        rows = [r async for r in kurir.rest.items("campaigns", "/v1/outbox", **params)]
        return rows if len(rows) == 10 and not any(r["state"] == "queued" for r in rows) else None

    rows = await wait_for("an end of each", ended, 30)
    ends = {r["id"]: (r["state"], r["reason"]) for r in rows}
    assert ends == {f"crm.order-{n}": ("sent", "") if n % 2 else ("cancelled", "expired") for n in range(10)}
    clock.forward(2 * HOUR)
    await asyncio.sleep(3)
    assert (await kurir.mail.counts())["received"] == 5
    assert len(await ended()) == 10
    assert (await stream.stream_info(subjects.commands_stream(Channel.EMAIL))).state.messages == 0
    await connection.close()
