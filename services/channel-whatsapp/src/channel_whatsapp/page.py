"""WhatsApp's page: the one place that calls it. Everything it is asked runs from page_side.js; errors say what happened."""

import asyncio
import base64
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page
from servicekit.logs import get_logger

from channel_whatsapp.messages import DELIVERED, SENT, State
from channel_whatsapp.parts import FileKind

SCRIPT = Path(__file__).with_name("page_side.js")
CONFIG = "window.WPPConfig = {disableGoogleAnalytics: true, sendStatusToDevice: false};"
"""Read by wa-js while it loads: it tells nobody that it runs."""
_PIECE_BYTES = 1_500_000
_ASK = """async ([name, args]) => {
  if (!window.kurir) return {gone: true};
  try { return {value: await window.kurir[name](...args)}; }
  catch (error) { return {code: String(error?.code ?? error?.name ?? "error"), words: String(error?.message ?? error)}; }
}"""
_log = get_logger("channel_whatsapp.page")

RELOADED = "reloaded"
"""The way of a message where the page has since loaded itself anew, and forgotten how far it came."""
Hears = Callable[[dict[str, Any]], None]


class PageGone(OSError):  # noqa: N818  # what happened, as PageRefused
    """The page or its browser is gone or says nothing: what it was asked may or may not have happened."""


class PageSilent(PageGone):
    """It did not answer in time."""


class PageRefused(Exception):  # noqa: N818  # what the page did
    """The page answered with an error: its code (wa-js's) and its words."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(f"{code}: {words}")
        self.code, self.words = code, words


@dataclass(frozen=True)
class Handed:
    """What became of a message handed to the page."""

    result: str
    """WhatsApp's `SendMsgResult`: OK, or ERROR_…"""
    ack: int

    @property
    def sent(self) -> bool:
        """Return whether WhatsApp's server took it."""
        return self.result == "OK" or self.ack >= SENT


@dataclass(frozen=True)
class Known:
    """What the page knows of a message of ours. `way`: how far this very page came with it, empty where it never did."""

    found: bool
    ack: int
    way: str

    @property
    def delivered(self) -> bool:
        """Return whether it reached a device."""
        return self.ack >= DELIVERED


@dataclass(frozen=True)
class File:
    """A file for the page."""

    data: bytes
    kind: FileKind
    filename: str
    content_type: str
    voice: bool = False


async def equip(page: Page, wajs: str, hears: Hears) -> None:
    """Make a page, before it loads, one that answers and tells: *wajs* is the bundle's text."""
    await page.expose_function("kurirHears", hears)
    for script in (CONFIG, wajs, SCRIPT.read_text("utf-8")):
        await page.add_init_script(script)


class WhatsAppPage:
    """Asks an account's page. Every call ends within *timeout* seconds; raises PageGone, PageRefused."""

    def __init__(self, page: Page, account_id: str = "", timeout: float = 30.0) -> None:
        self.page, self._account_id, self._timeout = page, account_id, timeout
        self._born = ""

    async def state(self, timeout: float = 10.0) -> State | None:
        """Return where the page is, None while WhatsApp's own code has not loaded."""
        told = await self._ask("state", timeout=timeout)
        if not told["injected"]:
            return None
        return State(told["authenticated"], told["mode"], told["info"], told["me"], told["idle"], told["update"])

    async def missing(self) -> list[str]:
        """Return which of the functions we use the loaded page lacks (the canary), and note the versions."""
        told = await self._ask("canary")
        self._born = self._born or told["born"]
        missing = list(told["missing"])
        event = "WhatsApp's page lacks what is called" if missing else "WhatsApp's page is open"
        say = _log.warning if missing else _log.info
        say(event, account=self._account_id, wajs=told["wajs"], version=told["page"], missing=missing)
        return missing

    async def qr(self) -> str:
        """Return the QR code's text: a secret."""
        return str(await self._ask("qr"))

    async def refresh_qr(self) -> None:
        """Have the page show QR codes again once they stopped rotating."""
        await self._ask("refreshQr")

    async def pairing_code(self, phone: str) -> str:
        """Return the code that is typed on the phone instead of scanning: a secret."""
        return str(await self._ask("pairingCode", phone.removeprefix("+")))

    async def log_out(self) -> None:
        """Unlink this device."""
        await self._ask("logOut")

    async def exists(self, wid: str) -> tuple[str, str] | None:
        """Return (id, hidden id or nothing) of somebody on WhatsApp, None where nobody is."""
        found = await self._ask("exists", wid)
        return (found["wid"], found["lid"]) if found else None

    async def typing(self, wid: str, seconds: float) -> None:
        """Show "typing…" for so long."""
        await self._ask("typing", wid, int(seconds * 1000))

    async def send_text(self, wid: str, message_id: str, text: str) -> Handed:
        """Send words; returns once the server took them or the page gave up."""
        return _handed(await self._ask("sendText", {"to": wid, "id": message_id, "text": text}, endless=True))

    async def take_in(self, file: File) -> str:
        """Bring a file into the page, and return the token to send it by."""
        token = secrets.token_hex(8)
        for start in range(0, max(len(file.data), 1), _PIECE_BYTES):
            await self._ask("file", token, base64.b64encode(file.data[start : start + _PIECE_BYTES]).decode())
        return token

    async def forget(self, token: str) -> None:
        """Drop a file that is not sent after all."""
        await self._ask("dropFile", token)

    async def send_file(self, wid: str, message_id: str, token: str, file: File, caption: str) -> Handed:
        """Send a file brought in by `take_in`."""
        asked = {
            "to": wid, "id": message_id, "token": token, "type": file.kind, "caption": caption,
            "filename": file.filename, "mimetype": file.content_type, "voice": file.voice,
        }  # fmt: skip
        return _handed(await self._ask("sendFile", asked, endless=True))

    async def known(self, wid: str, message_id: str) -> Known:
        """Return what the page knows of a message of ours."""
        told = await self._ask("known", wid, message_id)
        way = told["way"] if told["born"] == self._born else RELOADED
        return Known(told["found"], int(told["ack"]), way)

    async def download(self, key: str, limit: int) -> tuple[bytes | None, str]:
        """Return (the file of a message, its type); None where it has more than *limit* bytes.

        One that does not come is no sign that the page is gone: raises PageRefused.
        """
        try:
            told = await self._ask("download", key, limit, timeout=self._timeout * 4)
        except PageSilent as error:
            raise PageRefused("timeout", str(error)) from error
        return (None if told["size"] > limit else base64.b64decode(told["data"])), told["mimetype"]

    async def moved(self, at: int) -> list[str]:
        """Return the ids of the chats in which something happened since a moment (seconds)."""
        return list(await self._ask("moved", at, timeout=self._timeout * 4))

    async def since(self, chat: str, at: int, at_once: int) -> list[dict[str, Any]]:
        """Return a chat's messages from a moment on (seconds), for `messages.message`; read *at_once* at a time."""
        return list(await self._ask("since", chat, at, at_once, timeout=self._timeout * 4))

    async def beat(self) -> None:
        """Truly ask the page for a sign of life, without any patience of its own: for `channelkit.browser.watch`."""
        await self.page.evaluate("() => window.kurir.state()")

    async def words(self) -> str:
        """Return what the page says, for a person; nothing where it cannot be asked."""
        try:
            text = await asyncio.wait_for(self.page.evaluate("() => document.body?.innerText ?? ''"), 5)
        except (PlaywrightError, TimeoutError):
            return ""
        return " ".join(str(text).split())[:400]

    async def _ask(self, name: str, *args: Any, timeout: float | None = None, endless: bool = False) -> Any:
        """*endless*: the caller has a deadline of its own."""
        asked: Awaitable[Any] = self.page.evaluate(_ASK, [name, list(args)])
        try:
            answer: Mapping[str, Any] = await (asked if endless else asyncio.wait_for(asked, timeout or self._timeout))
        except TimeoutError as error:
            raise PageSilent(f"the page did not answer {name} in time") from error
        except Exception as error:  # Playwright's own, and plain ones where its driver has died
            raise PageGone(f"the page went away during {name}: {_first_line(error)}") from error
        if answer.get("gone"):
            raise PageGone("the page holds nothing of WhatsApp")
        if "code" in answer:
            raise PageRefused(answer["code"], str(answer["words"])[:300])
        return answer.get("value")


def _handed(told: Mapping[str, Any]) -> Handed:
    return Handed(str(told["result"]), int(told["ack"]))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
