"""The life of one account's browser: opened, tended, started anew when it breaks, sealed, put to sleep, closed."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Literal

from channelkit.browser.account import AccountBrowser
from channelkit.browser.launching import Browsers, Look
from channelkit.browser.profile import ProfileBusy
from channelkit.browser.running import RunningBrowser
from channelkit.browser.watch import watch
from channelkit.protocol import Host
from contracts.state import SessionStatus
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Route
from servicekit import tasks
from servicekit.clock import boottime
from servicekit.errors import Retry, Unavailable
from servicekit.logs import get_logger

from channel_whatsapp.page import PageGone, PageRefused, WhatsAppPage, equip
from channel_whatsapp.settings import Settings
from channel_whatsapp.wajs import Bundle

_log = get_logger("channel_whatsapp.life")
_STEADY_SECONDS = 600.0
"""A browser that lived so long begins with the first pause again."""
_OPENING = "Page.goto: "
"""How Playwright begins its words where a page could not be opened."""

Next = Literal["seal", "sleep"]
"""What is to be done with a healthy browser: put its profile into the vault and go on, or close it until there is work."""
Tend = Callable[[WhatsAppPage], Coroutine[Any, Any, Next]]


class Life:
    """Holds the browser; `run` until cancelled, then `close`."""

    def __init__(
        self,
        host: Host,
        settings: Settings,
        browsers: Browsers,
        bundle: Bundle,
        hears: Callable[[dict[str, Any]], None],
    ) -> None:
        look = Look(service_workers="block" if settings.page_file else "allow")
        self.browser = AccountBrowser(browsers, host, host.account.account_id, look)
        self.sending = asyncio.Lock()
        """Held while a message is being sent: a healthy browser is only closed between two messages."""
        self.generation = 0
        """Counts the pages this session has had."""
        self.unclean_generation = 1
        """The last page that cannot know all that was handed over before it: the first of a session, or one after a break."""
        self.asleep = False
        self._host, self._settings, self._bundle, self._hears = host, settings, bundle, hears
        self._page: WhatsAppPage | None = None
        self._usable = asyncio.Event()
        self._wanted = asyncio.Event()
        self._broke = self._opened = False
        self._worked_at = boottime()

    @property
    def idle_seconds(self) -> float:
        """Return for how long there has been nothing to send."""
        return boottime() - self._worked_at

    def worked(self) -> None:
        """Note that there was something to do."""
        self._worked_at = boottime()

    @property
    def page(self) -> WhatsAppPage | None:
        """Return the page, where messages can be sent through it now."""
        return self._page if self._usable.is_set() else None

    async def ready_page(self, within_seconds: float) -> WhatsAppPage:
        """Return the page once messages can be sent through it; wakes a sleeping browser. Raises PageGone."""
        self._wanted.set()
        self.worked()
        return await self.usable_page(within_seconds)

    async def usable_page(self, within_seconds: float) -> WhatsAppPage:
        """Return the page once messages can be sent through it, for no reason to stay awake. Raises PageGone."""
        try:
            async with asyncio.timeout(within_seconds):
                await self._usable.wait()
        except TimeoutError as error:
            raise PageGone("it is starting, or has no connection to WhatsApp") from error
        assert self._page is not None
        return self._page

    def usable(self, page: WhatsAppPage | None) -> None:
        """Say that messages can be sent through the page from now on, or (None) that they cannot."""
        self._page = page
        if page:
            self._usable.set()
        else:
            self._usable.clear()

    async def run(self, tend: Tend) -> None:
        """Open the browser and have its page tended; what breaks is started anew, after pauses that double.

        Raises what *tend* raises, and what makes opening pointless (ProfileElsewhere, BrowserMissing, SealError).
        """
        pause, wanted = self._settings.restart_seconds, ""
        while True:
            began = boottime()
            try:
                browser = await self._start(wanted)
                wanted = await self._with(browser, tend)
                continue
            except (Retry, Unavailable, ProfileBusy, PageGone, PageRefused, PlaywrightError, OSError) as error:
                why = _words(error)
            wanted, self._broke = "", True
            if boottime() - began > _STEADY_SECONDS:
                pause = self._settings.restart_seconds
            _log.warning("a browser is started anew", account=self._host.account.account_id, why=why, pause=pause)
            await self._host.report(SessionStatus.CONNECTING, f"{why}; the browser is started anew")
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._settings.longest_restart_seconds)

    async def close(self) -> None:
        """Close gracefully and put the profile into the vault."""
        self.usable(None)
        await self.browser.close()

    async def _start(self, wanted: str) -> RunningBrowser:
        if wanted == "seal":
            return await self.browser.seal()
        if wanted == "sleep":
            await self._sleep()
        if self._opened:
            return await self.browser.restart()
        browser = await self.browser.open(self._begin)
        self._opened = True
        return browser

    async def _sleep(self) -> None:
        self._wanted.clear()
        self._opened = False
        await self.browser.close()
        self.asleep = True
        try:
            async with asyncio.timeout(self._settings.asleep_look_seconds):
                await self._wanted.wait()
        except TimeoutError:
            pass  # it only looks whether something came in
        finally:
            self.asleep = False

    async def _with(self, browser: RunningBrowser, tend: Tend) -> Next:
        """Tend the browser's page until it breaks (PageGone), or until something is to be done with it."""
        self.generation += 1
        if self._broke or self.browser.unclean:
            self.unclean_generation = self.generation
        self._broke = False
        page, settings = WhatsAppPage(browser.page, self._host.account.account_id), self._settings
        watching = asyncio.create_task(
            watch(
                browser,
                page.beat,
                every_seconds=settings.beat_every_seconds,
                timeout_seconds=settings.beat_timeout_seconds,
            )
        )
        tending = asyncio.create_task(tend(page))
        for task in (watching, tending):
            task.add_done_callback(_heard)
        try:
            await asyncio.wait({watching, tending}, return_when=asyncio.FIRST_COMPLETED)
            if watching.done():
                raise PageGone(watching.result().detail)
            return tending.result()
        finally:
            self.usable(None)
            await tasks.end([watching, tending])

    async def _begin(self, browser: RunningBrowser) -> None:
        page, settings = browser.page, self._settings
        await equip(page, await self._bundle.text(), self._hears)
        if settings.page_file:
            await page.route(settings.page_url, self._pinned)
        await page.goto(settings.page_url, wait_until="commit", timeout=settings.load_seconds * 1000)

    async def _pinned(self, route: Route) -> None:
        assert self._settings.page_file is not None
        await route.fulfill(path=self._settings.page_file, content_type="text/html; charset=utf-8")


def _heard(task: asyncio.Task[Any]) -> None:
    """What breaks one of two tasks breaks the other too: it is told once."""
    if not task.cancelled():
        task.exception()


def _words(error: Exception) -> str:
    detail = getattr(error, "detail", "") or str(error)
    words = detail.strip().partition("\n")[0] or type(error).__name__
    if words.startswith(_OPENING):  # people see this reason
        words = f"WhatsApp's page cannot be opened: {words.removeprefix(_OPENING)}"
    return words[:300]
