"""Processes die and freeze at random moments of a campaign: every row ends, nothing arrives twice, every reply is in the inbox once.

On e-mail, and in the long form on Telegram, which recognises repeats: there nothing may be unknown.
"""

import asyncio
import random

import pytest
from contracts.channels import Channel
from kurir.demo.rest import wait_for

from tests.support import crash
from tests.support.books import open_books, open_mailbox

ROWS, PER_SECOND, CONNECTIONS, MAILS = 300, 30, 4, 10
DISRUPTIONS = 6
OTHERS = ("campaigns", "accounts", "nats", "store")
FROZEN_SECONDS = (0.5, 2.0, 6.0)
"""The last is longer than a heartbeat (4 s) and a dispatcher's lease (3 s) of this platform live."""
PATIENCE_SECONDS = 120


@pytest.fixture(params=[Channel.EMAIL, pytest.param(Channel.TELEGRAM, marks=pytest.mark.full)])
async def kurir(tmp_path, request):
    async with crash.ground(tmp_path / "kurir", request.param) as running:
        yield running


@pytest.mark.timeout(600)
async def test_processes_die_and_freeze_at_random_moments(kurir, seed, rounds):
    chance = random.Random(seed)
    account = await kurir.story.account(pace={"per_second": PER_SECOND, "connections": CONNECTIONS})
    about = await kurir.account(account)
    for number in range(rounds(1, 3)):
        print(f"round {number}")
        story, campaign = await crash.draft(kurir, account, ROWS, lively=True)
        await crash.process(kurir, campaign)
        await kurir.until_received(await kurir.received() + 1)
        await asyncio.gather(disrupt(kurir, chance), write_to_us(kurir, about, chance))
        await kurir.ready()
        await story.watch(campaign)
        await crash.quiet(kurir)
        await rows_agree(kurir, story, campaign)
        await mailbox_agrees(kurir, about)


async def disrupt(kurir, chance):
    for _ in range(DISRUPTIONS):
        await asyncio.sleep(chance.uniform(0.2, 2.0))
        victim, seconds = chance.choice((f"channel-{kurir.channel}", *OTHERS)), chance.choice(FROZEN_SECONDS)
        if chance.random() < 0.6:
            down = chance.uniform(0.0, 2.0)
            print(f"{victim} killed for {down:.1f} s")
            await kurir.kill(victim)
            await asyncio.sleep(down)
            await kurir.start(victim)
        else:
            print(f"{victim} frozen for {seconds} s")
            kurir.freeze(victim)
            await asyncio.sleep(seconds)
            kurir.thaw(victim)


async def write_to_us(kurir, account, chance):
    for _ in range(MAILS):
        await asyncio.sleep(chance.uniform(0.1, 1.0))
        await kurir.outside.write(account, 1)


async def rows_agree(kurir, story, campaign):
    books = await open_books(kurir, campaign)
    states = books.states()
    print(states)
    assert books.troubles() == []
    assert books.duplicates() == 0
    refused = story.expected().get("failed", 0)
    assert states["sent"] + states["unknown"] + refused == ROWS, "only what cannot be known is not sent"
    assert states["failed"] == refused
    assert states["unknown"] <= (0 if kurir.channel is Channel.TELEGRAM else DISRUPTIONS * CONNECTIONS)
    assert sum(states.values()) == ROWS


async def mailbox_agrees(kurir, account):
    async def reacted():
        return not await kurir.outside.waiting()

    async def shown():
        box = await open_mailbox(kurir, account)
        return sum(box.shown.values()) >= len(box.lying) > MAILS

    await wait_for("every reply to be written", reacted, PATIENCE_SECONDS)
    await wait_for("every reply to be shown", shown, PATIENCE_SECONDS)
    await crash.quiet(kurir)
    assert (await open_mailbox(kurir, account)).troubles() == []
