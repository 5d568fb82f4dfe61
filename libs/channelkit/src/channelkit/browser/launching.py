"""Starts browsers: one Playwright driver for the process, one browser for each account, few starting at once."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
from playwright.async_api import BrowserContext, Playwright, async_playwright
from servicekit.errors import KurirError, Retry

from channelkit.browser import binary, processes
from channelkit.browser.running import RunningBrowser
from channelkit.browser.settings import BrowserSettings

ARGUMENTS = ("--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update")
"""Beside Playwright's own: no process or traffic that a page without a viewer does not need."""
_ENVIRONMENT = (
    "PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS", "LD_LIBRARY_PATH", "http_proxy", "https_proxy", "no_proxy",
)  # fmt: skip
"""All that a browser gets to see of the service's environment: keys and passwords are not in it."""
_AGAIN_SECONDS = 5.0
_STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Look:
    """How a page is to be opened."""

    visible: bool = False
    service_workers: Literal["allow", "block"] = "allow"
    locale: str | None = None
    time_zone: str | None = None


@dataclass(frozen=True)
class _Driver:
    playwright: Playwright
    process: psutil.Process | None

    def is_alive(self) -> bool:
        """Ask the system: Playwright's own calls hang or fail in many ways once its driver has died."""
        return self.process is None or (self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE)


class Browsers:
    """The browsers of one process; `close` ends the driver."""

    def __init__(self, settings: BrowserSettings) -> None:
        self.settings = settings
        self._starting = asyncio.Semaphore(settings.starts_at_once)
        self._making = asyncio.Lock()
        self._driver: _Driver | None = None

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for one's turn to start a browser: a start and a page's first load take a core each for seconds."""
        async with self._starting:
            yield

    async def launch(self, profile: Path, look: Look) -> RunningBrowser:
        """Start a browser on a profile folder whose lock the caller holds.

        Raises BrowserMissing, and Retry where it did not start in time; no process of it is left then.
        """
        program = await asyncio.to_thread(binary.find, self.settings.browser, visible=look.visible)
        try:
            context = await self._start(await self._running_driver(), program, profile, look)
            roots = await asyncio.to_thread(processes.browsers_of, profile)
            if not look.visible:
                await _hide_headless(context, program)
        except BaseException as error:
            await asyncio.shield(asyncio.to_thread(processes.kill, profile))
            if isinstance(error, Exception) and not isinstance(error, KurirError):
                raise Retry(_AGAIN_SECONDS, f"the browser did not start: {_first_line(error)}") from error
            raise
        return RunningBrowser(context, profile, roots)

    async def close(self) -> None:
        """Stop the driver, and with it whatever browser is still open."""
        driver, self._driver = self._driver, None
        if driver:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_STOP_SECONDS):
                    await driver.playwright.stop()

    async def _running_driver(self) -> Playwright:
        """Return the driver, a new one where it has died (and its browsers with it)."""
        async with self._making:
            if self._driver is None or not await asyncio.to_thread(self._driver.is_alive):
                await self.close()
                self._driver = await _start_driver()
            return self._driver.playwright

    async def _start(self, playwright: Playwright, program: Path, profile: Path, look: Look) -> BrowserContext:
        sandbox = self.settings.browser_sandbox
        agent = None if look.visible else await binary.user_agent(program)
        return await playwright.chromium.launch_persistent_context(
            str(profile),
            executable_path=program,
            headless=not look.visible,
            args=[*ARGUMENTS, *([f"--user-agent={agent}"] if agent else [])],
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
            chromium_sandbox=sandbox if sandbox is not None else os.geteuid() != 0,
            handle_sigint=False,
            handle_sigterm=False,
            handle_sighup=False,
            accept_downloads=False,
            no_viewport=True if look.visible else None,
            service_workers=look.service_workers,
            locale=look.locale,
            timezone_id=look.time_zone,
            timeout=self.settings.start_timeout_seconds * 1000,
        )


async def _start_driver() -> _Driver:
    before = await asyncio.to_thread(_drivers)
    playwright = await async_playwright().start()
    new = await asyncio.to_thread(_drivers) - before
    return _Driver(playwright, next(iter(new), None))


def _drivers() -> set[psutil.Process]:
    found = set()
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if "run-driver" in child.cmdline():
                found.add(child)
    return found


async def _hide_headless(context: BrowserContext, program: Path) -> None:
    """Let the page's client hints name the brands a browser with a window names: `HeadlessChrome` is one of them else."""
    agent = await binary.user_agent(program)
    session = await context.new_cdp_session(context.pages[0])
    await session.send("Emulation.setUserAgentOverride", {"userAgent": agent, "userAgentMetadata": binary.hints(agent)})


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300]
