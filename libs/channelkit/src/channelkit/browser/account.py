"""One account's browser from its opening to its close: profile, process, vault."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from servicekit.logs import get_logger

from channelkit.browser.keeping import KeptProfile
from channelkit.browser.launching import Browsers, Look
from channelkit.browser.profile import ProfileFolder
from channelkit.browser.record import ProfileHost
from channelkit.browser.running import RunningBrowser

_log = get_logger("channelkit.browser")
Begin = Callable[[RunningBrowser], Awaitable[None]]
"""Prepares the page (init scripts, bindings, routes) and goes to the platform's address."""


class AccountBrowser:
    """What a channel's session holds. `browser` is the running one; every method may raise servicekit's Unavailable."""

    def __init__(self, browsers: Browsers, host: ProfileHost, account_id: str, look: Look | None = None) -> None:
        self._browsers, self._look = browsers, look or Look()
        self._settings = browsers.settings
        self.kept = KeptProfile(host, ProfileFolder(Path(self._settings.profiles), account_id))
        self.browser: RunningBrowser | None = None
        self._begin: Begin | None = None

    @property
    def unclean(self) -> bool:
        """The last end was not graceful: what the page does not know of, may have gone out all the same."""
        return self.kept.unclean

    async def open(self, begin: Begin) -> RunningBrowser:
        """Take the profile, start the browser, run *begin*; while others start, wait for one's turn.

        Raises ProfileBusy, ProfileElsewhere (report awaiting_person), BrowserMissing, Retry; nothing is held then.
        """
        self._begin = begin
        await self.kept.take()
        try:
            return await self._start(begin)
        except BaseException:
            await asyncio.shield(self.close())
            raise

    async def logged_in(self) -> None:
        """Call once the platform says that somebody is logged in: from now on the profile is worth keeping."""
        await self.kept.logged_in()

    async def seal(self) -> RunningBrowser:
        """Close gracefully, put the profile into the vault, open again: after a login, its newest part is on disk only now.

        Where the vault cannot take it, the profile goes on, bound to this volume.
        """
        self.kept.unclean = not await self._end()
        return await self._again()

    async def restart(self) -> RunningBrowser:
        """End the browser after trouble and start it anew on the same profile; also after a `seal` that failed halfway."""
        browser, self.browser = self.browser, None
        if browser:
            self.kept.unclean = not await browser.close(self._settings.close_timeout_seconds)
        return await self._again()

    async def close(self) -> None:
        """Close gracefully, put the profile into the vault, give the lock back. Never leaves a process behind."""
        try:
            await self._end()
        finally:
            await asyncio.shield(self._give_up())

    async def discard(self) -> None:
        """End the browser and forget the profile, here and everywhere; a new login may begin.

        The platform logged the account out, or a person gave up what `open` found to be on another volume.
        """
        browser, self.browser = self.browser, None
        if browser:
            await browser.close(self._settings.close_timeout_seconds)
        if self.kept.held:
            await self.kept.forget()
        else:
            await self.kept.take(anew=True)

    async def _start(self, begin: Begin) -> RunningBrowser:
        await self.kept.reopen()
        async with self._browsers.turn():
            self.browser = await self._browsers.launch(self.kept.folder.profile, self._look)
            await begin(self.browser)
        return self.browser

    async def _again(self) -> RunningBrowser:
        if self._begin is None:
            raise RuntimeError("open comes first")
        return await self._start(self._begin)

    async def _end(self) -> bool:
        """Close the browser and seal the profile; return whether the close was graceful."""
        browser, self.browser = self.browser, None
        if browser is None:
            return True
        if not await browser.close(self._settings.close_timeout_seconds):
            _log.warning("a browser had to be killed: its profile stays with this volume", profile=str(browser.profile))
            return False
        try:
            await self.kept.closed()
        except Exception as error:
            _log.warning(
                "a profile could not be put into the vault: it stays with this volume", error=repr(error)[:300]
            )
        return True

    async def _give_up(self) -> None:
        browser, self.browser = self.browser, None
        try:
            if browser:
                await browser.kill()
        finally:
            self.kept.release()
