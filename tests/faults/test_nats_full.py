"""A stream is full and refuses what is new: who writes to it waits, the others do not, and it goes on by itself."""

import asyncio

import pytest
from kurir.demo.rest import wait_for

from tests.support import many
from tests.support.load import Load, begun

FEW_BYTES = 60_000
FEW_MESSAGES = 50


@pytest.fixture
async def js(kurir):
    connection = await kurir.bus()
    yield connection.jetstream()
    await connection.close()


async def limit(js, stream, **limits):
    """Change limits of a stream; return those it had."""
    config = (await js.stream_info(stream)).config
    await js.update_stream(config.evolve(**limits))
    return {name: getattr(config, name) for name in limits}


SLOW, FAST = {"per_second": 1, "connections": 4}, {"per_second": 60, "connections": 4}
"""At a message per second the queue fills: the window is five minutes of the pace."""


async def hurry(kurir, account):
    """Let an account send fast."""
    path = f"/v1/accounts/{account}"
    version = (await kurir.rest.call("GET", "accounts", path))["version"]
    await kurir.rest.call("PATCH", "accounts", path, json={"pace": FAST}, headers={"If-Match": f'"{version}"'})


async def is_full(js):
    return (await js.stream_info("COMMANDS_EMAIL")).state.bytes > FEW_BYTES - 3_000


async def length(js, account):
    """Return how many messages wait in an account's queue."""
    subject = f"cmd.email.{account}.send.bulk.v1"
    found = await js.stream_info("COMMANDS_EMAIL", subjects_filter=subject)
    return (found.state.subjects or {}).get(subject, 0)


async def test_a_full_command_stream_makes_the_dispatcher_wait_and_empties_itself(kurir, js):
    story = kurir.tell(300)
    account = await story.account(pace=SLOW)
    await limit(js, "COMMANDS_EMAIL", max_bytes=FEW_BYTES)
    load = Load(kurir, story, await kurir.account(account), await story.campaign(account, await story.contacts()))
    await wait_for("the stream to be full", lambda: is_full(js), 20)
    await asyncio.sleep(2)  # tried again and again, and refused
    state = (await js.stream_info("COMMANDS_EMAIL")).state
    assert state.bytes <= FEW_BYTES
    assert state.messages < 300
    found = await kurir.rest.call("GET", "campaigns", f"/v1/campaigns/{load.campaign}")
    assert found["status"] == "processing"
    await kurir.ready("campaigns", "channel-email", seconds=5)
    await hurry(kurir, account)
    await load.reconcile()


@pytest.mark.full
async def test_the_full_queue_of_one_account_refuses_no_other(kurir, js):
    await limit(js, "COMMANDS_EMAIL", max_msgs_per_subject=FEW_MESSAGES)
    loads = []
    for number in range(2):
        story = kurir.tell(150)
        account = await many.connect_one(kurir, story, number, per_second=(1, 60)[number])
        loads.append(
            Load(kurir, story, await kurir.account(account), await story.campaign(account, await story.contacts()))
        )
    full, other = loads
    await other.sent()
    assert FEW_MESSAGES - 5 <= await length(js, full.account) <= FEW_MESSAGES
    await hurry(kurir, full.account)
    await full.sent()


@pytest.mark.full
async def test_the_full_queue_of_one_account_holds_up_no_other_of_the_same_campaign(kurir, js):
    await limit(js, "COMMANDS_EMAIL", max_msgs_per_subject=FEW_MESSAGES)
    story = kurir.tell(300)
    slow, fast = [await many.connect_one(kurir, story, number, (1, 60)[number]) for number in range(2)]
    campaign, _ = await many.process(story, [slow, fast], await story.contacts())

    async def the_other_is_done():
        rows = await many.rows_of(story, campaign)
        return sum(map(len, rows.values())) == 300 and set(rows[fast]) == {"sent"}

    await wait_for("the other account", the_other_is_done, 40)
    assert len((await many.rows_of(story, campaign))[slow]) > FEW_MESSAGES
    assert FEW_MESSAGES - 5 <= await length(js, slow) <= FEW_MESSAGES
    await hurry(kurir, slow)
    await Load(kurir, story, await kurir.account(fast), campaign).sent()


@pytest.mark.full
async def test_a_full_inbox_stream_holds_outcomes_and_replies_back_and_loses_none(kurir, js):
    load = await begun(kurir, 400, per_second=60)
    state = (await js.stream_info("INBOX")).state
    before = await limit(js, "INBOX", max_bytes=state.bytes + 10_000)
    await asyncio.sleep(15)
    assert (await js.stream_info("INBOX")).state.bytes <= state.bytes + 10_000
    found = await kurir.rest.call("GET", "campaigns", f"/v1/campaigns/{load.campaign}")
    assert found["counts"]["sent"] < await kurir.received(), "some outcomes must be held back"
    await limit(js, "INBOX", **before)
    await load.reconcile()
