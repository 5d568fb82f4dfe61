"""How one knows that a person has logged in: WhatsApp's page tells, elsewhere the person does."""

import asyncio
import contextlib
import sys
import threading
from collections.abc import Callable
from typing import Protocol

from contracts.channels import Channel
from playwright.async_api import Page
from servicekit.errors import Permanent

from kurir.login.whatsapp import by_page


class Way(Protocol):
    """One channel's way of knowing."""

    settle_seconds: float
    """The page is left alone so long after the login, to write down what it needs."""

    async def prepare(self, page: Page) -> None:
        """Make the page ready before it loads."""

    async def logged_in(self, page: Page) -> None:
        """Return once the person has logged in."""


class ByEnter:
    """The person says so."""

    settle_seconds = 0.0

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    async def prepare(self, page: Page) -> None:
        """Leave the page as it is."""

    async def logged_in(self, page: Page) -> None:  # noqa: ARG002  # another way looks at it
        """Wait for Enter."""
        self._say("Log in in the window that has opened. When you are logged in, press Enter here.")
        await _line()


async def way(channel: str, say: Callable[[str], None], settle_seconds: float | None = None) -> Way:
    """Return the way of a channel; *settle_seconds*: other than its own."""
    if channel == Channel.WHATSAPP:
        try:
            return await by_page(say, settle_seconds)
        except Permanent as error:
            say(f"WhatsApp's page cannot be watched here ({error.detail}): you will have to say when it is ready")
    return ByEnter(say)


def _line() -> "asyncio.Future[None]":
    """Return a future of one line on standard input; a thread that nobody waits for reads it."""
    loop = asyncio.get_running_loop()
    pressed: asyncio.Future[None] = loop.create_future()

    def tell() -> None:
        if not pressed.done():
            pressed.set_result(None)

    def read() -> None:
        if sys.stdin.readline():  # at the end of input nobody pressed anything
            with contextlib.suppress(RuntimeError):  # the loop may be closed by then
                loop.call_soon_threadsafe(tell)

    threading.Thread(target=read, daemon=True, name="enter").start()
    return pressed
