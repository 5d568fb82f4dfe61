"""The visible browser: a profile of its own, a person logs in, it is closed gracefully and packed, and then gone."""

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from channelkit.browser import packing
from channelkit.browser.launching import Browsers, Look
from channelkit.browser.running import RunningBrowser
from channelkit.browser.settings import BrowserSettings
from playwright.async_api import Error as PlaywrightError
from servicekit.errors import KurirError

from kurir.home import Trouble
from kurir.login.watching import Way

_PREFIX = "kurir-login-"
_START_SECONDS = 60.0
_LOAD_SECONDS = 60.0
_CLOSE_SECONDS = 30.0
"""A graceful close writes what is not on disk yet: local storage is late by 6 s, cookies by 35 s."""


@dataclass(frozen=True)
class Visit:
    """Where to go and how."""

    url: str
    program: str = ""
    headless: bool = False


async def visit(to: Visit, way: Way, say: Callable[[str], None]) -> bytes:
    """Open the page, wait until the person has logged in, and return the packed profile. Raises Trouble."""
    _require_screen(to)
    async with _profile() as profile:
        try:
            await _session(to, profile, way, say)
            return await asyncio.to_thread(packing.pack, profile)
        except KurirError as error:
            raise Trouble(error.detail or error.reason) from error


async def _session(to: Visit, profile: Path, way: Way, say: Callable[[str], None]) -> None:
    settings = BrowserSettings(service="kurir-login", browser=to.program, start_timeout_seconds=_START_SECONDS)
    browsers = Browsers(settings)
    try:
        browser = await browsers.launch(profile, Look(visible=not to.headless))
        try:
            await _log_in(to, browser, way)
            say("logged in; closing the browser")
            await asyncio.sleep(way.settle_seconds)
            if not await browser.close(_CLOSE_SECONDS):
                raise Trouble(
                    "the browser did not close by itself, its session may lack its last seconds: log in again"
                )
        finally:
            await browser.kill()
    finally:
        await browsers.close()


async def _log_in(to: Visit, browser: RunningBrowser, way: Way) -> None:
    """Wait for the login, or for the window to be closed before it."""
    await way.prepare(browser.page)
    try:
        await browser.page.goto(to.url, wait_until="domcontentloaded", timeout=_LOAD_SECONDS * 1000)
    except PlaywrightError as error:
        raise Trouble(f"{to.url} does not open: {str(error).partition(chr(10))[0]}") from error
    waiting = asyncio.ensure_future(way.logged_in(browser.page))
    try:
        ends: set[asyncio.Future[Any]] = {waiting, browser.trouble}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            raise Trouble(f"{browser.trouble.result().detail} before the login was complete; nothing was uploaded")
        await waiting
    finally:
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await waiting


@contextlib.asynccontextmanager
async def _profile() -> AsyncIterator[Path]:
    """Yield an empty folder that is gone afterwards: the server's copy alone goes on with the session."""
    await asyncio.to_thread(_remove_left_behind)
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))  # mode 0700
    try:
        yield folder / "profile"
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _remove_left_behind() -> None:
    """Remove the profiles of runs that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        number = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if number.isdecimal() and not psutil.pid_exists(int(number)):
            shutil.rmtree(folder, ignore_errors=True)


def _require_screen(to: Visit) -> None:
    if to.headless or sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return
    raise Trouble("there is no screen here: run kurir login on the computer you sit at, with --url and KURIR_TOKEN")
