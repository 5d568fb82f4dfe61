"""From an opened page to a ready one: QR code, pairing code, or whatever else the page wants of a person."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal, Protocol

from channelkit.protocol import Host, Shown
from channelkit.showing import MAX_BYTES
from contracts.ids import digest
from contracts.state import Challenge, SessionStatus
from contracts.whatsapp import WhatsAppSettings
from servicekit.clock import boottime, utcnow

from channel_whatsapp.life import Life
from channel_whatsapp.messages import State
from channel_whatsapp.page import PageRefused, WhatsAppPage

_LOOK_SECONDS = 1.0
_QR_SECONDS = 60.0
"""The first code of a page lasts so long, the later ones 20 s; a new one is reported as it comes."""
_PAIRING_SECONDS = 160.0
"""WhatsApp's own page asks for a new pairing code after about three minutes."""
_STRANGE_SECONDS = 15.0
"""A screen without a QR code that stays for so long is one only a person can deal with."""
_PERSON_MINUTES = 10


class LoggedOut(Exception):  # noqa: N818
    """The phone, or WhatsApp, ended the login; the text says why, in the platform's words."""


class NobodyCame(Exception):  # noqa: N818
    """QR codes were shown long enough."""


class Screen(Protocol):
    """What a login needs of its session."""

    host: Host
    account: WhatsAppSettings
    life: Life
    logged_out_because: str | None
    """Set once the page said that the login ended."""

    async def screenshot(self) -> bytes | None:
        """Return what the page shows."""
        ...

    async def changed(self, within_seconds: float) -> None:
        """Wait until the page tells of a change, at most for so long."""
        ...


@dataclass
class Login:
    """One page's login; `until_ready` returns once messages can be sent."""

    session: Screen
    page: WhatsAppPage
    known: bool
    """Somebody is logged in with this profile, as far as we know."""
    load_seconds: float
    login_seconds: float
    challenge: Challenge | None = None
    _began: float = field(default_factory=boottime)
    _scene: str = ""
    _since: float = 0.0
    _shown: str = ""
    _again_at: float = 0.0

    async def until_ready(self) -> State:
        """Return the ready page's state. Raises LoggedOut, NobodyCame, PageGone."""
        while True:
            state = await self.page.state()
            if state and state.stage == "ready":
                return state
            if self.session.logged_out_because is not None:
                if self.known:
                    raise LoggedOut(in_words(self.session.logged_out_because))
                self.session.logged_out_because = None  # it ended before anybody here knew of it: a new one begins
            await self._step(state)
            await self.session.changed(_LOOK_SECONDS)

    async def renew(self) -> None:
        """Show a new code: a person asked for it."""
        self._shown, self._again_at = "", 0.0
        if self.session.account.login == "qr":
            await self.page.refresh_qr()

    async def _step(self, state: State | None) -> None:
        stage = state.stage if state else "loading"
        code = await self._code(state) if state and stage == "qr" else ""
        scene = "code" if code else stage
        if scene != self._scene:
            self._scene, self._since = scene, boottime()
        lasted = boottime() - self._since
        if state and stage == "blocked":
            await self._ask_person(state.why_blocked)
        elif code:
            await self._offer(code)
        elif lasted > (self.load_seconds if stage == "loading" else min(_STRANGE_SECONDS, self.load_seconds)):
            await self._ask_person("WhatsApp shows a screen that Kurir does not know")
        elif stage == "loading" and self.challenge is not None:  # somebody has used the code
            self.challenge, self._shown = None, ""
            await self.session.host.report(SessionStatus.CONNECTING, "linked; the chats are loading")

    async def _code(self, state: State) -> str:
        if state.idle:
            await self.page.refresh_qr()
        return await self.page.qr()

    async def _offer(self, code: str) -> None:
        if self.known:
            raise LoggedOut("WhatsApp no longer knows this device")
        if boottime() - self._began > self.login_seconds:
            raise NobodyCame
        if self.session.account.login == "pairing":
            await self._pair()
        elif code != self._shown:
            await self._show("qr", code, _QR_SECONDS)

    async def _pair(self) -> None:
        if boottime() < self._again_at:
            return
        assert self.session.account.phone is not None
        try:
            code = await self.page.pairing_code(self.session.account.phone)
        except PageRefused as error:
            self._again_at = boottime() + _QR_SECONDS  # asking too often is refused for longer
            await self._ask_person(f"WhatsApp gave no pairing code: {error.words}")
            return
        shown = f"{code[:4]}-{code[4:]}" if len(code) == 8 and "-" not in code else code
        await self._show("code_to_enter", shown, _PAIRING_SECONDS)

    async def _show(self, kind: Literal["qr", "code_to_enter"], code: str, seconds: float) -> None:
        self._shown, self._again_at = code, boottime() + seconds
        hint = self.session.account.phone or "" if kind == "code_to_enter" else ""
        self.challenge = Challenge(
            id=digest("whatsapp", code), kind=kind, hint=hint, expires_at=utcnow() + timedelta(seconds=seconds)
        )
        await self.session.host.report(
            SessionStatus.AWAITING_QR, challenge=self.challenge, shown=Shown(kind, code.encode())
        )

    async def _ask_person(self, reason: str) -> None:
        self.challenge = await ask_person(self.session, self.page, reason, self.challenge)


async def ask_person(session: Screen, page: WhatsAppPage, reason: str, last: Challenge | None = None) -> Challenge:
    """Say what is wrong, in our words and the page's, with a picture: once for each screen, so the *last* is compared.

    Where chats or a pairing code may be on the page, its words are left to the picture, which is sealed.
    """
    secret = session.life.browser.kept.login or session.account.login == "pairing"
    words = "" if secret else await page.words()
    said = (f"{reason}: “{words}”" if words else reason)[:500]
    challenge_id = digest("screen", said)
    if last is not None and last.id == challenge_id and last.expires_at and utcnow() < last.expires_at:
        return last
    expires = utcnow() + timedelta(minutes=_PERSON_MINUTES)
    challenge = Challenge(id=challenge_id, kind="person", hint=words[:200], expires_at=expires)
    picture = await session.screenshot()
    shown = Shown("image/png", picture) if picture and len(picture) <= MAX_BYTES else None
    await session.host.report(SessionStatus.AWAITING_PERSON, said, challenge=challenge, shown=shown)
    return challenge


def in_words(reason: str) -> str:
    """Return why a login ended, from WhatsApp's own name for it (`LogoutReason`), or from nothing."""
    if reason == "user_initiated":
        return "this device was unlinked on the phone (user_initiated)"
    return f"WhatsApp ended the login ({reason})" if reason else "this device was unlinked"
