"""Whether a message went out: only the page knows, and only where it has seen all that happened."""

import asyncio
from collections import OrderedDict
from typing import Protocol

from contracts.commands import SendMessage
from servicekit.errors import Permanent, Unavailable

from channel_whatsapp import parts
from channel_whatsapp.messages import FAILED, SENT
from channel_whatsapp.page import RELOADED, Known, PageGone, PageRefused, WhatsAppPage
from channel_whatsapp.peers import Peers

_ASK_SECONDS = 1.0
_REMEMBERED = 5000


class Page(Protocol):
    """What sending needs of the browser's life."""

    sending: asyncio.Lock
    generation: int
    unclean_generation: int
    """The last page that cannot know all that was handed over before it."""

    async def ready_page(self, within_seconds: float) -> WhatsAppPage:
        """Return the page once it is ready. Raises PageGone."""
        ...


class Fates:
    """Answers whether a message went out: only the page knows, and only if it has seen all that happened."""

    def __init__(self, life: Page, peers: Peers) -> None:
        self._life, self._peers = life, peers
        self._handed: OrderedDict[str, int] = OrderedDict()
        """Message id → the page it was handed to."""

    def handed(self, message_id: str) -> None:
        """Note to which page a message is being handed, or is about to be: its claim is ours, so nobody sent it before."""
        self._handed[message_id] = self._life.generation
        while len(self._handed) > _REMEMBERED:
            self._handed.popitem(last=False)

    async def was_sent(self, key: str, command: SendMessage, within_seconds: float) -> bool | str | None:
        """Return the message's id where WhatsApp's server has it, False where it surely never left, None in doubt.

        *key*: a platform key of the command. Waits for a page that is just starting.
        """
        message_id = parts.message_id(key)
        try:
            async with asyncio.timeout(within_seconds):
                page = await self._life.ready_page(within_seconds)
                wid = await self._peers.reach(page, command.to.address)
                while _is_on_its_way(known := await page.known(wid, message_id)):  # noqa: ASYNC110  # it tells nobody
                    await asyncio.sleep(_ASK_SECONDS)
        except (PageGone, PageRefused, Unavailable, Permanent, TimeoutError):
            return None
        if known.found and known.ack >= SENT:
            return message_id
        if known.found or known.way in {"handed", "answered", RELOADED} or not self._saw_it(message_id):
            return None
        return False

    def _saw_it(self, message_id: str) -> bool:
        """Return whether this session handed it over, or tried to, and every page since then ended gracefully."""
        return self._handed.get(message_id, 0) >= self._life.unclean_generation


def _is_on_its_way(known: Known) -> bool:
    """Return whether the page may still bring it to the server: it shows a clock, or is about to."""
    return FAILED < known.ack < SENT if known.found else known.way == "handed"
