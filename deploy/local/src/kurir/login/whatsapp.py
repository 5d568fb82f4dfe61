"""WhatsApp's page tells by itself when it is linked and ready: asked through wa-js, as the channel's service does."""

import asyncio
from collections.abc import Callable

from channel_whatsapp.messages import State
from channel_whatsapp.page import PageGone, PageRefused, WhatsAppPage, equip
from channel_whatsapp.wajs import Bundle
from playwright.async_api import Page

from kurir.home import Trouble

SETTLE_SECONDS = 30.0
"""The page writes down keys and chats for a while after it is linked; what is missing then is fetched by the server."""
_LOOK_SECONDS = 1.0
_HOW = (
    "Link this device in the window that has opened: on the phone WhatsApp > Linked devices > Link a device, or the "
    "passkey it asks for. It is recognised by itself."
)


class ByPage:
    """The page says so."""

    def __init__(self, wajs: str, say: Callable[[str], None], settle_seconds: float) -> None:
        self._wajs, self._say, self.settle_seconds = wajs, say, settle_seconds

    async def prepare(self, page: Page) -> None:
        """Put wa-js into the page before it loads."""
        await equip(page, self._wajs, _unheard)

    async def logged_in(self, page: Page) -> None:
        """Wait until messages could be sent. Raises Trouble where WhatsApp refuses for good."""
        self._say(_HOW)
        asked, linked = WhatsAppPage(page), False
        while True:
            state = await _state(asked)
            if state and state.stage == "ready":
                return
            if state and state.stage == "blocked":
                raise Trouble(state.why_blocked)
            if state and state.authenticated and not linked:
                linked = True
                self._say("linked; WhatsApp is loading the chats")
            await asyncio.sleep(_LOOK_SECONDS)


async def by_page(say: Callable[[str], None], settle_seconds: float | None) -> ByPage:
    """Return WhatsApp's way. Raises servicekit's Permanent where wa-js is not installed."""
    return ByPage(await Bundle(None).text(), say, SETTLE_SECONDS if settle_seconds is None else settle_seconds)


async def _state(page: WhatsAppPage) -> State | None:
    try:
        return await page.state()
    except (PageGone, PageRefused):
        return None  # it is loading, or gone: then the window tells


def _unheard(told: dict[str, object]) -> None:
    """Events of the page; nobody here needs them."""
