"""A WhatsApp account's session: what its page says becomes states, and what is asked of it goes to the page."""

import asyncio
import contextlib
from typing import Any

from channelkit.browser.growth import Growth
from channelkit.browser.keeping import ProfileElsewhere
from channelkit.browser.launching import Browsers
from channelkit.protocol import Host
from contracts.commands import SendMessage
from contracts.ids import digest
from contracts.state import Challenge, SessionStatus
from contracts.whatsapp import WhatsAppSettings
from servicekit import tasks
from servicekit.clock import boottime, utcnow
from servicekit.errors import KurirError, Permanent, Retry, Unavailable
from servicekit.logs import get_logger

from channel_whatsapp.fates import Fates
from channel_whatsapp.inbox import Inbox
from channel_whatsapp.life import Life, Next
from channel_whatsapp.login import LoggedOut, Login, NobodyCame
from channel_whatsapp.page import PageGone, PageRefused, WhatsAppPage
from channel_whatsapp.peers import Peers
from channel_whatsapp.sender import WhatsAppSender
from channel_whatsapp.settings import Settings
from channel_whatsapp.tending import Tending
from channel_whatsapp.wajs import Bundle

_log = get_logger("channel_whatsapp.session")
_LOOK_SECONDS = 2.0
_LOG_OUT_SECONDS = 20.0
"""The kit waits 30 s for all of it."""
_NEW = "new"
_MB = 1_000_000


class WhatsAppSession:
    """Implements protocol.Session, and what its parts need of it."""

    def __init__(
        self,
        host: Host,
        settings: Settings,
        account: WhatsAppSettings,
        *,
        browsers: Browsers,
        bundle: Bundle,
        send_timeout: float,
    ) -> None:
        self.host, self.settings, self.account = host, settings, account
        self.groups, self.typing_seconds = account.groups, account.typing_seconds
        self.inbound_limit_bytes = settings.inbound_limit_bytes
        self.identity = ""
        self.logged_out_because: str | None = None
        """Set once the page said that the login ended: WhatsApp's reason, or nothing."""
        self.loads = 0
        """Counts how often a page has loaded: one that does so by itself may be of another version."""
        self.login: Login | None = None
        self.growth = Growth(settings.page_limit_mb * _MB)
        self.peers = Peers(host)
        self.inbox = Inbox(self)
        self.life = Life(host, settings, browsers, bundle, self._hears)
        self.fates = Fates(self.life, self.peers)
        self._ask_seconds = send_timeout * 0.8  # the rest is the kit's, to write what became of it
        self._changed = asyncio.Event()
        self._anew: asyncio.Event | None = None
        """A person is being asked whether to log in anew; set by the answer."""
        self._living: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to open the browser; progress goes to the host."""
        self._living = asyncio.create_task(self._live(), name=f"whatsapp {self.host.account.account_id}")

    def sender(self) -> WhatsAppSender:
        """Return a sender."""
        return WhatsAppSender(self)

    async def answer(self, challenge_id: str, answer: str, *, resend: bool) -> None:  # noqa: ARG002  # the kit compares it
        """Take a person's word: `new` begins a new login where the old one is out of reach; *resend* shows a new code."""
        if self._anew is not None:
            if answer.strip().lower() != _NEW:
                raise Permanent("not_understood", f"answer “{_NEW}” to give the old login up and begin a new one")
            self._anew.set()
        elif resend and self.login is not None:
            await self.login.renew()
            self._changed.set()
        else:
            raise Permanent("answered_on_the_phone", "WhatsApp takes the answer on the phone, not here")

    async def check(self, address: str) -> bool | None:
        """Return whether a number is on WhatsApp."""
        try:
            await self.peers.reach(await self.life.ready_page(_LOOK_SECONDS), address)
        except Permanent as error:
            return False if error.reason == "not_on_whatsapp" else None
        except (PageGone, PageRefused):
            return None
        return True

    async def was_sent(self, key: str, command: SendMessage) -> bool | str | None:
        """Ask the page for a message of ours."""
        return await self.fates.was_sent(key, command, self._ask_seconds)

    async def probe(self) -> None:
        """Truly ask the page. Raises Retry. A sleeping account's browser is closed on purpose, and is not asked."""
        if self.life.asleep:
            return
        try:
            state = await (await self.life.usable_page(self.settings.probe_timeout_seconds * 0.8)).state()
        except (PageGone, PageRefused) as error:
            raise Retry(_LOOK_SECONDS, str(error)) from error
        if state is None or not state.online:
            raise Retry(_LOOK_SECONDS, "the page has no connection to WhatsApp")

    async def log_out(self) -> None:
        """Unlink the device on the platform, and remove the profile: the account is being deleted."""
        try:
            await (await self._page_of_login()).log_out()
        except (PageGone, PageRefused) as error:
            await self.host.log("warning", f"The phone may still list this device: {error}")
        await tasks.end([self._living])
        await self.life.browser.discard()
        self.life.browser.kept.folder.remove()

    async def _page_of_login(self) -> WhatsAppPage:
        """Return the page to log out with: an account that was off has its browser opened for it. Raises PageGone."""
        kept, until = self.life.browser.kept, boottime() + _LOG_OUT_SECONDS
        while True:
            try:
                return await self.life.ready_page(_LOOK_SECONDS)
            except PageGone:
                nobody = kept.held and not kept.login
                if nobody or boottime() > until:
                    raise

    async def close(self) -> None:
        """Close the browser gracefully: its memory is given back, its profile put into the vault."""
        await tasks.end([self._living])
        await self.life.close()

    async def screenshot(self) -> bytes | None:
        """Return what the page shows."""
        browser = self.life.browser.browser
        return await browser.screenshot() if browser else None

    async def changed(self, within_seconds: float) -> None:
        """Wait until the page tells of a change, at most for so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_seconds):
                await self._changed.wait()
        self._changed.clear()

    def _hears(self, told: dict[str, Any]) -> None:
        match told.get("kind"):
            case "logged_out":
                self.logged_out_because = told["reason"] or self.logged_out_because or ""
                self._changed.set()
            case "qr" | "state":
                self._changed.set()
            case "loaded":
                self.loads += 1
                self._changed.set()
                self.inbox.hear(told)
            case _:
                self.inbox.hear(told)

    async def _live(self) -> None:
        """Live until the session is closed, or until a person has to do something first."""
        try:
            await self._live_on()
        except KurirError as error:
            await self.host.report(SessionStatus.FAILED, error.detail or error.reason)
        except Exception as error:
            _log.error("a session failed", account=self.host.account.account_id, exc_info=error)
            await self.host.report(SessionStatus.FAILED, f"internal error: {type(error).__name__}")

    async def _live_on(self) -> None:
        try:
            while True:
                try:
                    await self.life.run(self._tend)
                except ProfileElsewhere as error:
                    await self._ask_whether_anew(error.detail)
        except LoggedOut as error:
            await self._give_up(str(error))
        except NobodyCame:
            await self._give_up("nobody used the code: switch the account off and on to be shown a new one")

    async def _tend(self, page: WhatsAppPage) -> Next:
        return await Tending(self, page).run()

    async def _give_up(self, reason: str) -> None:
        """The login is over: the profile is worth nothing any more, here or in the vault."""
        while True:
            try:
                await self.life.browser.discard()
                break
            except Unavailable as error:  # told once the bus is back: before it, nobody could hear it anyway
                await asyncio.sleep(error.after_seconds)
        await self.host.report(SessionStatus.LOGGED_OUT, reason)

    async def _ask_whether_anew(self, why: str) -> None:
        """An older copy of the profile must not be used: wait for a person, or for the replica with the right volume."""
        self._anew = asyncio.Event()
        challenge = Challenge(
            id=digest("profile", self.host.account.account_id, utcnow()),
            kind="person",
            hint=f"answer “{_NEW}” to give the old login up and begin a new one",
        )
        await self.host.report(SessionStatus.AWAITING_PERSON, why, challenge=challenge)
        await self._anew.wait()
        self._anew = None
        await self.life.browser.discard()
