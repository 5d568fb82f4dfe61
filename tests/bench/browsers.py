"""What an account in a browser takes: memory as PSS at 1, 5 and 10 accounts on the practice page, and giving it back."""

import asyncio
import statistics
import time
from pathlib import Path

import psutil
from channelkit.browser import processes
from channelkit.browser.launching import Browsers, Look
from channelkit.browser.running import RunningBrowser
from channelkit.browser.settings import BrowserSettings
from practice.whatsapp.process import running

from tests.bench.measure import Figure, folder

AT = (1, 5, 10)
MARGINAL_MB = 130.0
GIVEN_BACK = 0.95
GIVEN_BACK_SECONDS = 2.0
_SETTLE_SECONDS = 8.0
_PATIENCE_MS = 60_000
WAJS = Path("services/channel-whatsapp/web/node_modules/@wppconnect/wa-js/dist/wppconnect-wa.js")


async def measure() -> list[Figure]:
    """Return memory per account at 1, 5 and 10, what one more takes, and what closing one gives back."""
    with folder() as path:
        async with running() as practice:
            browsers = Browsers(BrowserSettings(profiles=path, start_timeout_seconds=60))
            try:
                return await _measure(browsers, practice, path)
            finally:
                await browsers.close()


async def _measure(browsers: Browsers, practice, path: Path) -> list[Figure]:
    opened: list[RunningBrowser] = []
    totals: dict[int, float] = {}
    ready: list[float] = []
    try:
        for number in range(max(AT)):
            began = time.perf_counter()
            opened.append(await _logged_in(browsers, practice, path / f"acc{number}", f"+62812000{number:04}"))
            ready.append(time.perf_counter() - began)
            if number + 1 in AT:
                await asyncio.sleep(_SETTLE_SECONDS)
                totals[number + 1] = await asyncio.to_thread(_browsers_mb)
        driver = await asyncio.to_thread(_driver_mb)
        marginal = (totals[AT[-1]] - totals[AT[0]]) / (AT[-1] - AT[0])
        share, seconds = await _given_back(opened.pop())
    finally:
        await asyncio.gather(*(browser.close(20) for browser in opened))
    return [
        *(Figure(f"memory of a browser account, {n} of them", mb / n, "MB PSS each") for n, mb in totals.items()),
        Figure(
            "memory of one more browser account", marginal, "MB PSS",
            aim=f"<= {MARGINAL_MB:g} MB", met=marginal <= MARGINAL_MB,
        ),
        Figure("memory of Playwright's driver, once for the process", driver, "MB PSS"),
        Figure(
            "memory of one browser account that is back 2 s after it is closed", share * 100, "%",
            aim=f">= {GIVEN_BACK:.0%}", met=share >= GIVEN_BACK,
        ),
        Figure("graceful close of a browser", seconds, "s"),
        Figure("browser account from its start to the page logged in, QR scanned", statistics.median(ready), "s"),
    ]  # fmt: skip


async def _logged_in(browsers: Browsers, practice, profile: Path, phone: str) -> RunningBrowser:
    browser = await browsers.launch(profile, Look())
    page = browser.page
    await page.add_init_script("window.WPPConfig = {disableGoogleAnalytics: true}")
    await page.add_init_script(path=WAJS)
    await page.goto(practice.ports.page_url, timeout=_PATIENCE_MS)
    await page.wait_for_function("() => window.WPP?.isReady", timeout=_PATIENCE_MS)
    await practice.client.put_number(phone)
    assert await practice.client.scan((await page.evaluate("() => WPP.conn.getAuthCode()"))["fullCode"], phone)
    await page.wait_for_function(
        "() => WPP.conn.isAuthenticated() && WPP.conn.getStreamData().mode === 'MAIN'", timeout=_PATIENCE_MS
    )
    return browser


async def _given_back(browser: RunningBrowser) -> tuple[float, float]:
    """Return the share of its memory that is back 2 s after the close, and how long the close took.

    What the driver takes more afterwards counts as kept; what other accounts' pages do meanwhile is theirs.
    """
    own, driver = await browser.memory_bytes() / 1e6, await asyncio.to_thread(_driver_mb)
    began = time.perf_counter()
    assert await browser.close(20)
    seconds = time.perf_counter() - began
    await asyncio.sleep(max(0.0, GIVEN_BACK_SECONDS - seconds))
    kept = await browser.memory_bytes() / 1e6 + max(0.0, await asyncio.to_thread(_driver_mb) - driver)
    return 1 - kept / own, seconds


def _browsers_mb() -> float:
    """Return the PSS of all browsers of this process, their children included, Playwright's driver apart."""
    drivers = [child for child in psutil.Process().children() if "run-driver" in child.cmdline()]
    return processes.pss_bytes([browser for driver in drivers for browser in driver.children()]) / 1e6


def _driver_mb() -> float:
    drivers = [child for child in psutil.Process().children() if "run-driver" in child.cmdline()]
    return sum(driver.memory_full_info().pss for driver in drivers) / 1e6
