"""A real browser killed, frozen and crashed in the middle of a WhatsApp campaign: nothing is lost, nothing arrives twice.

The practice WhatsApp delivers a repeated message id twice, so a second send would be seen.
"""

import asyncio

import pytest
from channelkit.browser import processes
from channelkit.browser.profile import ProfileFolder
from contracts.channels import Channel
from kurir.demo.rest import wait_for

from tests.support.books import open_books
from tests.support.live import live

RECIPIENTS, PER_SECOND, STEP = 60, 5, 8
QUICK = {
    "CHANNEL_WHATSAPP_BEAT_EVERY_SECONDS": "1",
    "CHANNEL_WHATSAPP_BEAT_TIMEOUT_SECONDS": "5",
    "CHANNEL_WHATSAPP_RESTART_SECONDS": "0.5",
    "CHANNEL_WHATSAPP_CLOSE_TIMEOUT_SECONDS": "3",
    "CHANNEL_WHATSAPP_SETTLE_SECONDS": "0.2",
}


@pytest.fixture
async def kurir(tmp_path, monkeypatch):
    for name, value in QUICK.items():
        monkeypatch.setenv(name, value)
    async with live(tmp_path / "kurir", Channel.WHATSAPP) as running:
        yield running


@pytest.fixture
async def begun(kurir):
    """A campaign of which some messages have left: its story, account and id.

    The login is sealed before: what a page stored a moment ago, Chromium itself loses when it is killed.
    """
    story = kurir.tell(RECIPIENTS)
    account = await story.account(pace={"per_second": PER_SECOND})
    await wait_for("the profile to be sealed and open again", lambda: is_open_again(kurir, account), 60)
    await story.expect_people()
    campaign = await story.campaign(account, await story.contacts())
    await kurir.until_received(STEP)
    return story, account, campaign


def folder_of(kurir, account):
    return ProfileFolder(kurir.platform.home.folder / "profiles", account)


async def is_open_again(kurir, account):
    marker = folder_of(kurir, account).marker()
    return marker and marker.generation > 1 and not marker.clean and browser_of(kurir, account)


def browser_of(kurir, account):
    return processes.browsers_of(folder_of(kurir, account).profile)


async def kill_browser(kurir, begun):
    for process in processes.family(browser_of(kurir, begun[1])):
        process.kill()


async def freeze_browser(kurir, begun):
    (browser,) = browser_of(kurir, begun[1])
    for process in processes.family([browser]):
        process.suspend()

    async def another():
        found = browser_of(kurir, begun[1])
        return bool(found) and found[0].pid != browser.pid

    await wait_for("another browser", another, 30)


async def hang_sending_page(kurir, begun):
    await begun[0].whatsapp.set_faults(freeze_on_send={"value": 120, "times": 1})


async def crash_sending_page(kurir, begun):
    await begun[0].whatsapp.set_faults(crash_on_send={"times": 1})


async def kill_service(kurir, begun):
    await kurir.kill("channel-whatsapp")
    await asyncio.sleep(1)
    await kurir.start("channel-whatsapp")


FAULTS = [kill_browser, freeze_browser, hang_sending_page, crash_sending_page, kill_service]


async def all_is_well(kurir, begun, *, in_doubt):
    """Every row has its end, arrived once where it is sent, and at most so many are unknown."""
    story, account, campaign = begun
    await story.watch(campaign)
    books = await open_books(kurir, campaign)
    assert books.troubles() == []
    assert books.duplicates() == 0
    states = books.states()
    assert states["failed"] == len(story.never)
    assert states["unknown"] <= in_doubt
    assert states["pending"] + states["queued"] + states["cancelled"] == 0
    assert len(browser_of(kurir, account)) == 1, "none was left behind"


@pytest.mark.short
async def test_a_campaign_survives_all_that_can_befall_a_browser(kurir, begun):
    for number, fault in enumerate(FAULTS, 1):
        await fault(kurir, begun)
        await kurir.until_received(STEP * (number + 1), 90)
    await all_is_well(kurir, begun, in_doubt=len(FAULTS))


@pytest.mark.full
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_campaign_survives(kurir, begun, fault):
    await fault(kurir, begun)
    await all_is_well(kurir, begun, in_doubt=1)
