"""What comes in: the page's messages and receipts, published once each; the cursor follows.

The page tells what happens while it is open. After every start the chats that moved since the cursor are looked through
as well, so what came while nobody was there, or was told to a process that died, is published then.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Coroutine
from typing import Any

from contracts.ids import inbound_id
from servicekit.errors import KurirError
from servicekit.logs import get_logger

from channel_whatsapp.events import Account, Announcer
from channel_whatsapp.messages import ChatMessage, message
from channel_whatsapp.page import PageGone, WhatsAppPage

_log = get_logger("channel_whatsapp.inbox")
_OVERLAP_SECONDS = 600
"""Messages come in the order WhatsApp's server had them, not in that of their times: so far back is looked again."""
_PER_CHAT = 200
_SEEN = 2000
_SAVED = 300
_NOW, _RECENT = "at", "recent"


class Inbox:
    """One account's inbox, from its first page to the session's end."""

    def __init__(self, account: Account) -> None:
        self._host, self._announcer = account.host, Announcer(account)
        self._told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._seen: OrderedDict[str, int] = OrderedDict()
        """Ids published lately → their times."""
        self._current: dict[str, Any] | None = None
        """What is being handled: a failure leaves it here, for the next page."""
        self._at = 0
        self._loaded = False

    def hear(self, told: dict[str, Any]) -> None:
        """Take what the page tells; it is handled in its turn."""
        self._told.put_nowait(told)

    async def run(self, page: WhatsAppPage) -> None:
        """Catch up, then handle what is told, until cancelled. Raises PageGone, Conflict, Unavailable: nothing is lost."""
        since = await self._load()
        for found in await page.since(since, _PER_CHAT):
            await self._safely(self._caught_up(page, found), found.id)
        await self._save()
        while True:
            self._current = told = self._current or await self._told.get()
            await self._safely(self._handle(page, told), str(told.get("id") or told.get("message", {}).get("id", "")))
            self._current = None
            if self._told.empty():
                await self._save()

    async def _load(self) -> int:
        """Return from when on (seconds) to look: a new account's past is not imported."""
        if not self._loaded:
            kept = await self._host.cursor()
            self._at = int(kept.get(_NOW, 0))
            self._seen.update(dict.fromkeys(kept.get(_RECENT, "").split(), self._at))
            self._loaded = True
        if self._at:
            return self._at - _OVERLAP_SECONDS
        self._at = int(time.time())
        return self._at

    async def _handle(self, page: WhatsAppPage, told: dict[str, Any]) -> None:
        match told["kind"]:
            case "message":
                await self._message(page, message(told["message"]))
            case "ack":
                await self._announcer.receipts(told["ack"], told["chat"], told["chatPhone"], told["ids"])
            case "edited":
                await self._announcer.edited(message(told["message"]))
            case _:
                await self._announcer.deleted(told["id"], told["chat"], told["chatPhone"])

    async def _safely(self, work: Coroutine[Any, Any, None], platform_id: str) -> None:
        """One strange message must not stop the others: it is written down, and counts as read."""
        account_id = self._host.account.account_id
        try:
            await work
        except (PageGone, KurirError):
            raise
        except Exception as error:
            _log.error("not read", account=account_id, exc_info=error)
            self._note(platform_id, self._at)
            await self._host.dead_letter(platform_id.encode(), repr(error), inbound_id(account_id, platform_id, "dead"))

    async def _caught_up(self, page: WhatsAppPage, found: ChatMessage) -> None:
        await self._message(page, found)
        await self._announcer.receipt_of(found)

    async def _message(self, page: WhatsAppPage, found: ChatMessage) -> None:
        if found.id not in self._seen and self._announcer.wanted(found):
            await self._announcer.message(page, found)
            self._note(found.id, found.at)

    def _note(self, platform_id: str, at: int) -> None:
        self._seen[platform_id] = at
        while len(self._seen) > _SEEN:
            self._seen.popitem(last=False)
        self._at = max(self._at, at)

    async def _save(self) -> None:
        recent = [one for one, at in self._seen.items() if at >= self._at - _OVERLAP_SECONDS][-_SAVED:]
        await self._host.save_cursor({_NOW: str(self._at), _RECENT: " ".join(recent)})
