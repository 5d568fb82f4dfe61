"""For tests: the practice page in a real browser, with the unmodified wa-js bundle injected.

Needs Playwright and Chromium's headless shell, which the practice WhatsApp itself runs without.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import Page, async_playwright

BROWSER = "/usr/bin/chromium-headless-shell"

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
    """An open page, the events that wa-js told, and what the page complained of."""

    page: Page
    events: list[tuple[str, Any]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    async def run(self, expression: str, argument: Any = None) -> Any:
        """Return what a JavaScript function gives: `opened.run("(id) => WPP.chat.find(id)", id)`."""
        return await self.page.evaluate(expression, argument)

    def heard(self, name: str) -> list[Any]:
        """Return what was told with this event, oldest first."""
        return [told for event, told in self.events if event == name]


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
            await page.expose_function("tellTest", lambda name, told: one.events.append((name, told)))
            page.on("pageerror", lambda error: one.errors.append(str(error)))
            page.on("console", lambda told: one.errors.append(told.text) if told.type == "error" else None)
            await page.add_init_script(BEFORE)
            await page.add_init_script(path=bundle)
            await page.add_init_script(AFTER % json.dumps(EVENTS))
            await page.goto(page_url)
            yield one
        finally:
            await context.close()
