"""One page from its loading on: logged in, read, watched over, until something is to be done with its browser."""

import asyncio
import contextlib
import math
from typing import Protocol

from channelkit.browser.growth import Growth
from channelkit.protocol import Host
from contracts.state import Challenge, SessionStatus
from contracts.whatsapp import WhatsAppSettings
from servicekit import tasks
from servicekit.clock import boottime
from servicekit.errors import Conflict, KurirError
from servicekit.logs import get_logger

from channel_whatsapp.inbox import Inbox
from channel_whatsapp.life import Life, Next
from channel_whatsapp.login import LoggedOut, Login, ask_person, in_words
from channel_whatsapp.messages import State
from channel_whatsapp.page import PageGone, PageRefused, WhatsAppPage
from channel_whatsapp.settings import Settings

_log = get_logger("channel_whatsapp.tending")
_LOOK_SECONDS = 2.0
_REASON_SECONDS = 1.0
"""That a login ended, and why, the page tells in two events of either order."""
_READ_AGAIN_SECONDS = 2.0
_TRIES = 3
_MB = 1_000_000


class Account(Protocol):
    """What tending needs of its session."""

    host: Host
    settings: Settings
    account: WhatsAppSettings
    life: Life
    inbox: Inbox
    growth: Growth
    login: Login | None
    logged_out_because: str | None
    identity: str
    loads: int

    async def screenshot(self) -> bytes | None:
        """Return what the page shows."""
        ...

    async def changed(self, within_seconds: float) -> None:
        """Wait until the page tells of a change, at most for so long."""
        ...


class Tending:
    """Tends one page."""

    def __init__(self, account: Account, page: WhatsAppPage) -> None:
        self._account, self._page = account, page
        self._host, self._life, self._settings = account.host, account.life, account.settings
        self._missing: list[str] = []
        self._loads = 0
        self._reading: asyncio.Task[None] | None = None
        self._seal_at: float | None = None
        self._offline_since: float | None = None
        self._asked: Challenge | None = None
        self._measured_at = boottime()

    async def run(self) -> Next:
        """Return what is to be done with the browser. Raises LoggedOut, NobodyCame, PageGone."""
        account, kept = self._account, self._life.browser.kept
        new = not kept.login
        account.login = Login(
            account, self._page, kept.login, self._settings.load_seconds, self._settings.login_seconds
        )
        state = await account.login.until_ready()
        account.login = None
        await self._enter(state)
        if new:
            self._seal_at = boottime() + self._settings.settle_seconds
        self._reading = asyncio.create_task(account.inbox.run(self._page))
        try:
            return await self._stay()
        finally:
            await tasks.end([self._reading])

    async def _enter(self, state: State) -> None:
        """Ready: note that the profile is worth keeping, look whether all we use is there, and begin to send."""
        await self._life.browser.logged_in()
        self._account.identity = state.identity
        await self._look_for_all()
        self._life.worked()
        if state.online:
            self._life.usable(self._page)
        else:
            self._offline_since = boottime()
        await self._report()

    async def _look_for_all(self) -> None:
        self._loads = self._account.loads
        self._missing = await self._page.missing()

    async def _report(self) -> None:
        identity = self._account.identity
        if self._offline_since is not None:
            await self._host.report(SessionStatus.DEGRADED, "the page has no connection to WhatsApp", identity=identity)
        elif self._missing:
            reason = f"WhatsApp's page has changed, it lacks: {', '.join(self._missing)}"
            await self._host.report(SessionStatus.DEGRADED, reason[:500], identity=identity)
        else:
            await self._host.report(SessionStatus.READY, identity=identity)

    async def _stay(self) -> Next:
        while True:
            await self._account.changed(_LOOK_SECONDS)
            await self._look_after_reading()
            state = await self._state()
            if self._account.logged_out_because is not None or (state and await self._asks_for_a_login(state)):
                raise LoggedOut(await self._why())
            if state and state.stage == "blocked":
                await self._blocked(state.why_blocked)
            else:
                await self._connected(online=state is not None and state.online)
            if wanted := await self._due(update=state is not None and state.update):
                async with self._life.sending:
                    self._life.usable(None)
                return wanted

    async def _state(self) -> State | None:
        """A page that loads itself anew cannot be asked for a moment: it does so for an update of WhatsApp's."""
        for _ in range(_TRIES - 1):
            with contextlib.suppress(PageGone):
                return await self._page.state()
            await asyncio.sleep(_LOOK_SECONDS / 2)
        return await self._page.state()

    async def _asks_for_a_login(self, state: State) -> bool:
        """Only a code says so: what a page says of itself in its first moments must not cost a login."""
        if state.stage != "qr":
            return False
        with contextlib.suppress(PageRefused):
            return bool(await self._page.qr())
        return False

    async def _look_after_reading(self) -> None:
        """Raises PageGone as the reading does; a lease that lapsed for a moment begins it anew."""
        if self._reading is None or not self._reading.done():
            return
        try:
            await self._reading
        except (Conflict, KurirError) as error:
            _log.info("reading begins anew", account=self._host.account.account_id, error=str(error))
            await asyncio.sleep(_READ_AGAIN_SECONDS)
        self._reading = asyncio.create_task(self._account.inbox.run(self._page))

    async def _why(self) -> str:
        for _ in range(2):
            if self._account.logged_out_because:
                return in_words(self._account.logged_out_because)
            await asyncio.sleep(_REASON_SECONDS / 2)
        return in_words("")

    async def _blocked(self, why: str) -> None:
        self._life.usable(None)
        self._offline_since = self._offline_since or boottime()
        self._asked = await ask_person(self._account, self._page, why, self._asked)

    async def _connected(self, *, online: bool) -> None:
        """Nothing is sent through a page without a connection: it would lie there, and nobody could say for how long."""
        was_offline = self._offline_since
        if online:
            self._host.alive()
            self._offline_since = self._asked = None
            if loaded_anew := self._loads != self._account.loads:
                await self._look_for_all()  # it may be another version of WhatsApp's
            if was_offline is not None:
                self._life.usable(self._page)
            if was_offline is not None or loaded_anew or self._missing:  # the kit says ready after a silence
                await self._report()
        elif was_offline is None and self._life.page is not None:
            self._offline_since = boottime()
            self._life.usable(None)
            await self._report()

    async def _due(self, *, update: bool) -> Next | None:
        if self._seal_at is not None and boottime() >= self._seal_at:
            return "seal"
        grown = await self._has_grown()
        if grown or (update and self._account.growth.is_due(math.inf)):
            why = "The browser has grown too large" if grown else "WhatsApp asks for its new version"
            await self._host.log("info", f"{why}: the page is loaded anew")
            self._account.growth.reloaded()
            return "seal"
        idle, longest = self._life.idle_seconds, self._account.account.sleep_minutes
        if longest is not None and idle > longest * 60 and self._offline_since is None and not self._account.inbox.busy:
            await self._host.log("info", "Nothing to send: the browser is closed to save memory")
            return "sleep"
        return None

    async def _has_grown(self) -> bool:
        if boottime() - self._measured_at < self._settings.beat_every_seconds or self._life.browser.browser is None:
            return False
        self._measured_at = boottime()
        with contextlib.suppress(OSError):
            return self._account.growth.is_due(await self._life.browser.browser.memory_bytes())
        return False
