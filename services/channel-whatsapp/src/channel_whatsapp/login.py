"""From an opened page to a ready one: QR code, pairing code, or whatever else the page wants of a person."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal, Protocol

from channelkit.protocol import Host, Shown
from contracts.ids import digest
from contracts.state import Challenge, SessionStatus
from contracts.whatsapp import WhatsAppSettings
from servicekit.clock import boottime, utcnow

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
    _stage: str = ""
    _since: float = 0.0
    _shown: str = ""
    _code_until: float = 0.0

    async def until_ready(self) -> State:
        """Return the ready page's state. Raises LoggedOut, NobodyCame, PageGone."""
        while True:
            state = await self.page.state()
            stage = state.stage if state else "loading"
            if stage != self._stage:
                self._stage, self._since = stage, boottime()
            if state and stage == "ready":
                return state
            if self.session.logged_out_because is not None:
                raise LoggedOut(self.session.logged_out_because)
            await self._step(state)
            await self.session.changed(_LOOK_SECONDS)

    async def renew(self) -> None:
        """Show a new code: a person asked for it."""
        self._shown, self._code_until = "", 0.0
        if self.session.account.login == "qr":
            await self.page.refresh_qr()

    async def _step(self, state: State | None) -> None:
        lasted = boottime() - self._since
        if state and state.stage == "blocked":
            await self._ask_person(state.why_blocked)
        elif state and state.stage == "qr":
            await self._unlinked(state, lasted)
        elif lasted > (self.load_seconds if self._stage == "loading" else _STRANGE_SECONDS):
            await self._ask_person("WhatsApp shows a screen that Kurir does not know")
        elif self.challenge is not None:  # somebody has scanned: the chats are loading
            self.challenge, self._shown = None, ""
            await self.session.host.report(SessionStatus.CONNECTING, "linked; the chats are loading")

    async def _unlinked(self, state: State, lasted: float) -> None:
        if state.idle:
            await self.page.refresh_qr()
            return
        code = await self.page.qr()
        if code and self.known:
            raise LoggedOut("WhatsApp no longer knows this device")
        if boottime() - self._began > self.login_seconds:
            raise NobodyCame
        if code and self.session.account.login == "pairing":
            await self._pair()
        elif code:
            await self._show_qr(code)
        elif lasted > _STRANGE_SECONDS and boottime() > self._code_until:
            await self._ask_person("WhatsApp asks for something else than its QR code")

    async def _show_qr(self, code: str) -> None:
        if code == self._shown:
            return
        await self._show("qr", code, _QR_SECONDS, SessionStatus.AWAITING_QR)

    async def _pair(self) -> None:
        if boottime() < self._code_until:
            return
        assert self.session.account.phone is not None
        try:
            code = await self.page.pairing_code(self.session.account.phone)
        except PageRefused as error:
            self._code_until = boottime() + _QR_SECONDS  # asking too often is refused for longer
            await self._ask_person(f"WhatsApp gave no pairing code: {error.words}")
            return
        shown = f"{code[:4]}-{code[4:]}" if len(code) == 8 and "-" not in code else code
        await self._show("code_to_enter", shown, _PAIRING_SECONDS, SessionStatus.AWAITING_QR)

    async def _show(
        self, kind: Literal["qr", "code_to_enter"], code: str, seconds: float, status: SessionStatus
    ) -> None:
        self._shown, self._code_until = code, boottime() + seconds
        hint = self.session.account.phone or "" if kind == "code_to_enter" else ""
        self.challenge = Challenge(
            id=digest("whatsapp", code), kind=kind, hint=hint, expires_at=utcnow() + timedelta(seconds=seconds)
        )
        await self.session.host.report(status, challenge=self.challenge, shown=Shown(kind, code.encode()))

    async def _ask_person(self, reason: str) -> None:
        """Say what is wrong, in our words and the page's, with a picture: once for each screen."""
        words = await self.page.words()
        seen = f"{reason} {words}"
        if seen == self._shown:
            return
        self._shown = seen
        expires = utcnow() + timedelta(minutes=_PERSON_MINUTES)
        self.challenge = Challenge(
            id=digest("screen", seen, expires), kind="person", hint=words[:200], expires_at=expires
        )
        picture = await self.session.screenshot()
        shown = Shown("image/png", picture) if picture else None
        said = f"{reason}: “{words}”" if words else reason
        await self.session.host.report(SessionStatus.AWAITING_PERSON, said[:500], challenge=self.challenge, shown=shown)
