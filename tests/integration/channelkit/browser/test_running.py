"""A running browser: its login survives a close, its end is noticed, its memory is given back, nothing of it stays."""

import asyncio
import os
import signal

import psutil
import pytest
from channelkit.browser import packing, processes
from channelkit.browser.binary import BrowserMissing
from channelkit.browser.launching import Browsers, Look
from channelkit.browser.watch import watch
from servicekit.errors import Retry

from tests.integration.channelkit.browser.conftest import LOGGED_IN

PATIENCE = 20
NOTICED_SECONDS = 30


async def reopened(browsers, profile, site):
    running = await browsers.launch(profile, Look())
    try:
        await running.page.goto(site.url)
        return await running.page.evaluate("login()")
    finally:
        await running.close(PATIENCE)


async def test_a_graceful_close_keeps_a_login_made_a_moment_ago(browsers, browser, folder, site):
    await browser.page.evaluate("logIn()")
    assert await browser.close(PATIENCE)
    assert await reopened(browsers, folder.profile, site) == LOGGED_IN


async def test_a_packed_profile_is_logged_in_elsewhere(browsers, browser, folder, site, tmp_path):
    await browser.page.evaluate("logIn()")
    assert await browser.close(PATIENCE)
    packed = await asyncio.to_thread(packing.pack, folder.profile)
    packing.unpack(packed, tmp_path / "elsewhere")
    assert await reopened(browsers, tmp_path / "elsewhere", site) == LOGGED_IN
    assert len(packed) < 1_000_000


async def test_nothing_says_that_it_has_no_window(browser, site):
    words = [
        str(site.headers),
        await browser.page.evaluate("navigator.userAgent + JSON.stringify(navigator.userAgentData)"),
    ]
    assert "Chrome/" in words[0]
    assert "headless" not in "".join(words).lower()


async def test_the_browser_sees_nothing_of_the_services_secrets(browsers, folder, monkeypatch):
    monkeypatch.setenv("KURIR_SEALING_KEYS", "geheim")
    running = await browsers.launch(folder.profile, Look())
    environments = [p.environ() for p in processes.family(processes.browsers_of(folder.profile))]
    assert len(environments) > 3
    assert not any("geheim" in str(e) for e in environments)
    await running.close(PATIENCE)


async def test_only_root_goes_without_the_sandbox(browser):
    words = psutil.Process(processes.browsers_of(browser.profile)[0].pid).cmdline()
    assert ("--no-sandbox" in words) == (os.geteuid() == 0)


async def test_a_frozen_page_is_noticed(browser):
    watching = asyncio.create_task(watch(browser, every_seconds=1, timeout_seconds=4))
    freezing = asyncio.create_task(browser.page.evaluate("() => { for (;;); }"))
    trouble = await asyncio.wait_for(watching, NOTICED_SECONDS)
    assert (trouble.kind, "has not answered" in trouble.detail) == ("frozen", True)
    await browser.close(2)
    assert processes.browsers_of(browser.profile) == []
    await asyncio.gather(freezing, return_exceptions=True)


async def test_a_stopped_browser_is_noticed_and_ended(browser):
    for process in processes.family(processes.browsers_of(browser.profile)):
        process.suspend()
    trouble = await asyncio.wait_for(watch(browser, every_seconds=1, timeout_seconds=4), NOTICED_SECONDS)
    assert trouble.kind == "frozen"
    assert not await browser.close(2)
    assert processes.browsers_of(browser.profile) == []


async def test_a_crashed_page_is_noticed_at_once(browser):
    watching = asyncio.create_task(watch(browser, every_seconds=60, timeout_seconds=4))
    crashing = asyncio.create_task(browser.page.goto("chrome://crash"))
    trouble = await asyncio.wait_for(watching, NOTICED_SECONDS)
    assert trouble.kind == "crashed"
    await browser.close(PATIENCE)
    await asyncio.gather(crashing, return_exceptions=True)


async def test_a_killed_browser_is_noticed_at_once_and_was_no_graceful_close(browser):
    watching = asyncio.create_task(watch(browser, every_seconds=60, timeout_seconds=4))
    processes.kill(browser.profile)
    trouble = await asyncio.wait_for(watching, NOTICED_SECONDS)
    assert trouble.kind == "gone"
    assert not await browser.close(PATIENCE)


async def test_a_page_that_lives_is_heard(browser):
    beats = asyncio.Event()
    watching = asyncio.create_task(watch(browser, every_seconds=0.1, timeout_seconds=20, on_life=beats.set))
    await asyncio.wait_for(beats.wait(), NOTICED_SECONDS)
    await browser.page.reload()
    assert not watching.done()
    watching.cancel()


async def test_closing_leaves_no_process_and_gives_its_memory_back(browser):
    family = processes.family(processes.browsers_of(browser.profile))
    before = await browser.memory_bytes()
    assert await browser.close(PATIENCE)
    assert before > 30_000_000
    assert [p.pid for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []
    assert await browser.memory_bytes() == 0


async def test_a_screenshot_shows_the_page(browser):
    assert (await browser.screenshot()).startswith(b"\x89PNG")
    await browser.kill()
    assert await browser.screenshot() is None


async def test_after_the_driver_has_died_the_next_browser_starts_all_the_same(browsers, browser, folder, site):
    driver = psutil.Process(psutil.Process(processes.browsers_of(folder.profile)[0].pid).ppid())
    driver.send_signal(signal.SIGKILL)
    await asyncio.wait_for(watch(browser, every_seconds=0.5, timeout_seconds=4), NOTICED_SECONDS)
    assert not await browser.close(2)
    assert await reopened(browsers, folder.profile, site) == [False, False, False]


async def test_a_browser_that_does_not_start_says_so_and_leaves_nothing(browser_settings, folder, tmp_path):
    broken = tmp_path / "browser"
    broken.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Chromium 1.0 || sleep 600\n')
    broken.chmod(0o755)
    browsers = Browsers(browser_settings.model_copy(update={"browser": str(broken), "start_timeout_seconds": 2}))
    with pytest.raises(Retry, match="did not start"):
        await browsers.launch(folder.profile, Look())
    assert processes.browsers_of(folder.profile) == []
    await browsers.close()
    with pytest.raises(BrowserMissing):
        await Browsers(browser_settings.model_copy(update={"browser": "/no/browser"})).launch(folder.profile, Look())
