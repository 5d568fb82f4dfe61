"""One running browser with its one page."""

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
from playwright.async_api import BrowserContext, Page

from channelkit.browser import processes

_SCREENSHOT_SECONDS = 10.0
_TIDY_SECONDS = 2.0


@dataclass(frozen=True)
class Trouble:
    """Why a browser is of no more use: the page froze or crashed, or the browser itself is gone."""

    kind: Literal["frozen", "crashed", "gone"]
    detail: str


class RunningBrowser:
    """A launched browser: `context` and `page` are Playwright's, `trouble` is set once it crashed or went away."""

    def __init__(self, context: BrowserContext, profile: Path, roots: list[psutil.Process]) -> None:
        self.context, self.profile, self._roots = context, profile, roots
        self.page: Page = context.pages[0]
        self.trouble: asyncio.Future[Trouble] = asyncio.get_running_loop().create_future()
        self._closing = False
        self.page.on("crash", lambda _: self._end(Trouble("crashed", "the page crashed")))
        self.page.on("close", lambda _: self._end(Trouble("gone", "the page was closed")))
        context.on("close", lambda _: self._end(Trouble("gone", "the browser ended")))

    def _end(self, trouble: Trouble) -> None:
        if not self._closing and not self.trouble.done():
            self.trouble.set_result(trouble)

    async def close(self, within_seconds: float) -> bool:
        """Close gracefully, so that all storage is on disk, and return whether that worked; else kill it."""
        whole = not (self.trouble.done() and self.trouble.result().kind == "gone") and self._alive()
        self._closing = True
        try:
            async with asyncio.timeout(within_seconds):
                await self.context.close()
                ended = await processes.gone(self.profile, within_seconds)
        except Exception:  # a driver that died raises plain ones
            ended = False
        finally:
            await asyncio.shield(self.kill())
        return whole and ended

    async def kill(self) -> None:
        """End the browser's whole process group at once."""
        self._closing = True
        await asyncio.to_thread(processes.kill, self.profile)
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_TIDY_SECONDS):
                await self.context.close()

    async def screenshot(self) -> bytes | None:
        """Return what the page shows as PNG, None where it does not answer."""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_SCREENSHOT_SECONDS):
                return await self.page.screenshot(type="png", timeout=_SCREENSHOT_SECONDS * 1000)
        return None

    async def memory_bytes(self) -> int:
        """Return the PSS of all its processes; 0 once it has ended."""
        return await asyncio.to_thread(processes.pss_bytes, self._roots)

    def _alive(self) -> bool:
        return any(root.is_running() and root.status() != psutil.STATUS_ZOMBIE for root in self._roots)
