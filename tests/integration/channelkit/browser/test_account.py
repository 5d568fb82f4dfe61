"""One account's browser with its real host: the vault, another replica, crashes, and turns."""

import asyncio
import contextlib
import sys
from pathlib import Path

import psutil
import pytest
from channelkit.browser import processes
from channelkit.browser.account import AccountBrowser
from channelkit.browser.binary import BrowserMissing
from channelkit.browser.keeping import ProfileElsewhere
from channelkit.browser.launching import Browsers
from channelkit.browser.profile import ProfileBusy
from servicekit.errors import Unavailable

from tests.integration.channelkit.browser.conftest import LOGGED_IN

NOBODY = [False, False, False]
PATIENCE = 60


@pytest.fixture
def begin(site):
    async def go(browser):
        await browser.page.goto(site.url)

    return go


@pytest.fixture
async def account(browsers, host):
    found = AccountBrowser(browsers, host, "acc")
    yield found
    await found.close()


@pytest.fixture
async def replica(browser_settings, host, tmp_path):
    """The account on another replica, with another volume."""
    browsers = Browsers(browser_settings.model_copy(update={"profiles": tmp_path / "other volume"}))
    found = AccountBrowser(browsers, host, "acc")
    yield found
    await found.close()
    await browsers.close()


async def log_in(account, begin):
    await (await account.open(begin)).page.evaluate("logIn()")
    await account.logged_in()


async def login(browser):
    return await browser.page.evaluate("login()")


@contextlib.asynccontextmanager
async def lone_browser(root, url):
    script = Path(__file__).with_name("lone_browser.py")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, script, root, url, stdout=pipe)
    try:
        assert await asyncio.wait_for(process.stdout.readline(), PATIENCE) == b"open\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_another_replica_goes_on_after_a_clean_close(account, replica, begin):
    await log_in(account, begin)
    await account.close()
    assert await login(await replica.open(begin)) == LOGGED_IN
    assert not replica.unclean


async def test_a_login_is_sealed_while_the_browser_goes_on(account, begin, host):
    await log_in(account, begin)
    assert await host.load_session() is None
    assert await login(await account.seal()) == LOGGED_IN
    assert len(await host.load_session()) > 1_000


async def test_after_a_crash_only_the_same_volume_goes_on(browsers, host, account, replica, begin):
    await log_in(account, begin)
    browser = await account.seal()
    await browser.kill()
    account.kept.release()  # as the kernel does when the process dies
    with pytest.raises(ProfileElsewhere):
        await replica.open(begin)
    again = AccountBrowser(browsers, host, "acc")
    assert await login(await again.open(begin)) == LOGGED_IN
    assert again.unclean
    await again.close()
    assert await login(await replica.open(begin)) == LOGGED_IN


async def test_a_person_may_log_in_anew_where_the_volume_is_lost(account, replica, begin):
    await log_in(account, begin)
    account.kept.release()
    with pytest.raises(ProfileElsewhere):
        await replica.open(begin)
    await replica.discard()
    assert await login(await replica.open(begin)) == NOBODY
    await replica.close()
    assert await login(await account.open(begin)) == NOBODY, "the volume came back, but was given up"


async def test_a_logged_out_profile_is_forgotten_everywhere(account, replica, begin):
    await log_in(account, begin)
    await account.seal()
    await account.discard()
    await account.close()
    assert await login(await replica.open(begin)) == NOBODY


async def test_a_second_process_is_told_who_has_the_profile(account, begin, browser_settings, site):
    async with lone_browser(browser_settings.profiles, site.url) as other:
        with pytest.raises(ProfileBusy, match=str(other.pid)):
            await account.open(begin)


async def test_what_a_killed_process_left_behind_is_ended(account, begin, browser_settings, site):
    profile = account.kept.folder.profile
    async with lone_browser(browser_settings.profiles, site.url) as other:
        left = processes.family(processes.browsers_of(profile))
        driver = psutil.Process(left[0].ppid())
        for process in left:
            process.suspend()  # or it would end by itself as soon as nobody holds its pipe
        other.kill()
        await other.wait()
        driver.kill()
    assert len(processes.browsers_of(profile)) == 1
    assert await login(await account.open(begin)) == NOBODY
    assert account.unclean
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in left)


async def test_a_frozen_browser_is_started_anew_on_the_same_profile(account, begin, browser_settings):
    browser_settings.close_timeout_seconds = 2
    await log_in(account, begin)
    browser = await account.seal()
    for process in processes.family(processes.browsers_of(browser.profile)):
        process.suspend()
    assert await login(await account.restart()) == LOGGED_IN
    assert account.unclean


async def test_a_restart_that_failed_is_no_dead_end(account, begin, browsers):
    await log_in(account, begin)
    browsers.settings.browser = "/no/browser"
    with pytest.raises(BrowserMissing):
        await account.restart()
    browsers.settings.browser = ""
    assert await login(await account.open(begin)) == LOGGED_IN


async def test_a_seal_that_failed_halfway_leaves_the_profile_in_use(account, replica, begin, host, monkeypatch):
    await log_in(account, begin)
    remember = host.remember

    async def once(key, value):
        await remember(key, value)
        if b'"clean":false' in value:
            raise Unavailable("the answer was lost")

    monkeypatch.setattr(host, "remember", once)
    with pytest.raises(Unavailable):
        await account.seal()
    monkeypatch.undo()
    assert await login(await account.restart()) == LOGGED_IN
    with pytest.raises(ProfileElsewhere):
        await replica.open(begin)


async def test_a_page_that_cannot_be_reached_leaves_the_account_closed_and_kept(account, replica, begin, host):
    async def nowhere(browser):
        await browser.page.goto("http://127.0.0.1:9/")

    await log_in(account, begin)
    await account.close()
    with pytest.raises(Exception, match="ERR_"):
        await account.open(nowhere)
    assert processes.browsers_of(account.kept.folder.profile) == []
    assert await login(await replica.open(begin)) == LOGGED_IN


async def test_few_browsers_start_at_once(browser_settings, host, site):
    browser_settings.starts_at_once = 1
    browsers, now, most = Browsers(browser_settings), 0, 0

    async def begin(browser):
        nonlocal now, most
        now += 1
        most = max(most, now)
        await browser.page.goto(site.url)
        await asyncio.sleep(0.2)
        now -= 1

    accounts = [AccountBrowser(browsers, host, f"acc{number}") for number in range(3)]
    await asyncio.gather(*(account.open(begin) for account in accounts))
    assert most == 1
    await asyncio.gather(*(account.close() for account in accounts))
    await browsers.close()
