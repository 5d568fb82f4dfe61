"""For tests: the practice page in a real browser, with the unmodified wa-js bundle injected.

Needs Playwright and Chromium's headless shell, which the practice WhatsApp itself runs without.
"""

import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import Error, Page, async_playwright

from practice.testing import eventually

BROWSER = "/usr/bin/chromium-headless-shell"
PATIENCE_SECONDS = 30

#: Run before the bundle: what every driver of wa-js sets.
BEFORE = "window.WPPConfig = {disableGoogleAnalytics: true}"
#: Run after it: every event is kept, and told to Python.
AFTER = """
const plain = (given) => {
  if (!given || typeof given !== "object") return given ?? null;
  const {type, body, caption, fullCode, ack, state} = given;
  const ids = Object.fromEntries(
    ["id", "from", "author", "refId", "chat"].filter((name) => given[name]).map((name) => [name, String(given[name])]));
  return {...ids, type, body, caption, fullCode, ack, state,
    fromMe: given.id?.fromMe, ids: given.ids?.map(String), text: given.msg?.body};
};
for (const name of %s) WPP.on(name, (given) => window.tellTest(name, plain(given)));
"""
EVENTS = [
    "conn.auth_code_change",
    "conn.authenticated",
    "conn.main_ready",
    "conn.stream_mode_changed",
    "conn.qrcode_idle",
    "conn.logout",
    "conn.logout_reason",
    "chat.new_message",
    "chat.msg_ack_change",
    "chat.msg_edited",
    "chat.msg_revoke",
    "chat.presence_change",
]


@dataclass(slots=True)
class Opened:
    """An open page, the events that wa-js told (name and what was told), and what the page complained of."""

    page: Page
    events: list[tuple[str, Any]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    async def run(self, expression: str, argument: Any = None) -> Any:
        """Return what a JavaScript function gives: `opened.run("(id) => WPP.chat.find(id)", id)`."""
        return await self.page.evaluate(expression, argument)

    def heard(self, name: str) -> list[Any]:
        """Return what was told with this event, oldest first."""
        return [told for event, told in self.events if event == name]

    async def becomes(self, expression: str) -> Any:
        """Return the first true value of a JavaScript function; the page may reload meanwhile."""

        async def value() -> Any:
            with contextlib.suppress(Error):
                return await self.run(expression)

        return await eventually(value, PATIENCE_SECONDS)

    async def qr_text(self, but: str = "") -> str:
        """Return the QR text that the page shows, once there is one (other than the one given)."""
        shown = (
            f"() => WPP.isReady && WPP.conn.getAuthCode().then((code) => code?.fullCode !== '{but}' && code?.fullCode)"
        )
        return str(await self.becomes(shown))

    async def ready(self) -> None:
        """Wait until messages can be sent."""
        await self.becomes(
            "() => WPP.isFullReady && WPP.conn.isAuthenticated() && WPP.conn.getStreamData().mode === 'MAIN'"
        )

    async def hears(self, name: str, count: int = 1) -> list[Any]:
        """Return what was told with this event, once it was so often."""

        async def enough() -> list[Any]:
            told = self.heard(name)
            return told if len(told) >= count else []

        return await eventually(enough, PATIENCE_SECONDS)

    async def send_text(self, to: str, text: str, **options: Any) -> Any:
        """Send as our channel does, to `628…@c.us`; return wa-js's answer as JSON."""
        send = """([to, text, options]) => WPP.chat.sendTextMessage(to, text, {linkPreview: false, ...options})
            .then((sent) => JSON.parse(JSON.stringify(sent)))"""
        return await self.run(send, [to, text, options])


@asynccontextmanager
async def opened(page_url: str, profile: Path, bundle: Path) -> AsyncIterator[Opened]:
    """Open the page in headless Chromium with a profile folder and wa-js's file, until the block ends."""
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            profile, executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"], service_workers="block"
        )
        try:
            page = context.pages[0]
            one = Opened(page)
            await context.expose_function("tellTest", lambda name, told: one.events.append((name, told)))
            page.on("pageerror", lambda error: one.errors.append(str(error)))
            page.on("console", lambda told: one.errors.append(told.text) if told.type == "error" else None)
            await context.add_init_script(BEFORE)
            await context.add_init_script(path=bundle)
            await context.add_init_script(AFTER % json.dumps(EVENTS))
            await page.goto(page_url)
            yield one
        finally:
            await context.close()
