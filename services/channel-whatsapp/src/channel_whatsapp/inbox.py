"""What comes in: the page's messages and receipts, published once each; the cursor follows.

The page tells what happens while it is open. After every start the chats that moved since the cursor are looked through
as well, so what came while nobody was there, or was told to a process that died, is published then.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Coroutine, Mapping
from operator import itemgetter
from typing import Any

import orjson
from contracts.ids import digest, inbound_id
from servicekit.errors import Conflict, Retry, Unavailable
from servicekit.logs import get_logger

from channel_whatsapp.events import Account, Announcer
from channel_whatsapp.messages import message
from channel_whatsapp.page import PageGone, PageRefused, WhatsAppPage

_log = get_logger("channel_whatsapp.inbox")
_OVERLAP_SECONDS = 600
"""Messages come in the order WhatsApp's server had them, not in that of their times: so far back is looked again."""
_AT_ONCE = 200
_WAITING = 5000
"""So many are kept in memory while the bus is away; the page itself keeps what comes after them."""
_SEEN = 2000
_SAVED = 300
_FIRST, _NOW, _RECENT = "first", "at", "recent"
_PASSING = (PageGone, Conflict, Retry, Unavailable)
"""What is no message's own fault: it is read again."""

Told = Mapping[str, Any]


class Inbox:
    """One account's inbox, from its first page to the session's end."""

    def __init__(self, account: Account) -> None:
        self._host, self._announcer = account.host, Announcer(account)
        self._told: asyncio.Queue[Told] = asyncio.Queue()
        self._seen: OrderedDict[str, int] = OrderedDict()
        """Ids published lately → their times."""
        self._current: Told | None = None
        """What is being handled: a failure leaves it here, for the next page."""
        self._full = self._behind = False
        """Messages were left to the page; or it has loaded itself anew, and may not have told all."""
        self._first = self._at = 0
        self._loaded = False

    @property
    def busy(self) -> bool:
        """Return whether something that was told waits to be published."""
        return self._current is not None or not self._told.empty()

    def hear(self, told: Told) -> None:
        """Take what the page tells; it is handled in its turn."""
        self._behind = self._behind or told["kind"] == "loaded"
        if told["kind"] == "message" and (self._full or self._told.qsize() >= _WAITING):
            self._full = self._behind = True
        else:
            self._told.put_nowait(told)

    async def run(self, page: WhatsAppPage) -> None:
        """Catch up, then handle what is told, until cancelled.

        Raises PageGone, PageRefused, Conflict, Unavailable: nothing is lost.
        """
        await self._catch_up(page)
        while True:
            self._current = told = self._current or await self._told.get()
            await self._safely(self._handle(page, told), told.get("message", told))
            self._current = None
            if self._told.empty():
                if self._behind:
                    await self._catch_up(page)
                await self._save()

    async def _catch_up(self, page: WhatsAppPage) -> None:
        since = await self._load()
        self._full = self._behind = False
        found: list[Told] = []
        for chat in await page.moved(since):
            try:
                found += await page.since(chat, since, _AT_ONCE)
            except PageRefused as error:  # one chat of a shape nobody knows must not hold up the others
                await self._host.log("error", f"A chat could not be looked through for missed messages: {error.code}")
        for told in sorted(found, key=itemgetter("at")):
            await self._safely(self._caught_up(page, told), told)
        await self._save()

    async def _load(self) -> int:
        """Return from when on (seconds) to look: a new account's past is not imported."""
        if not self._loaded:
            kept = await self._host.cursor()
            self._first, self._at = int(kept.get(_FIRST, 0)), int(kept.get(_NOW, 0))
            self._seen.update(dict.fromkeys(kept.get(_RECENT, "").split(), self._at))
            self._loaded = True
        if not self._at:
            self._first = self._at = int(time.time())
            await self._save()  # what comes from now on is found also by whoever follows a process that dies
        return max(self._first, self._at - _OVERLAP_SECONDS)

    async def _handle(self, page: WhatsAppPage, told: Told) -> None:
        match told["kind"]:
            case "loaded":
                pass  # `run` looks for what it may not have told
            case "message":
                await self._message(page, told["message"])
            case "ack":
                await self._announcer.receipts(told["ack"], told["chat"], told["chatPhone"], told["ids"])
            case "edited":
                await self._announcer.edited(message(told["message"]))
            case _:
                await self._announcer.deleted(told["id"], told["chat"], told["chatPhone"])

    async def _safely(self, work: Coroutine[Any, Any, None], told: Told) -> None:
        """One strange message must not stop the others: it is announced as one nobody can read, and written down."""
        try:
            await work
        except _PASSING:
            raise
        except Exception as error:
            _log.error("not read", account=self._host.account.account_id, exc_info=error)
            await self._bury(told, error)

    async def _bury(self, told: Told, error: Exception) -> None:
        raw = orjson.dumps(told, default=str)
        account_id, platform_id = self._host.account.account_id, str(told.get("id") or "")
        await self._host.dead_letter(raw, repr(error), inbound_id(account_id, platform_id or digest(raw), "dead"))
        if platform_id not in self._seen and "at" in told:
            try:
                await self._announcer.unreadable(told)
            except _PASSING:
                raise
            except Exception as worse:
                _log.error("not announced", account=account_id, exc_info=worse)
            self._note(platform_id, self._at)

    async def _caught_up(self, page: WhatsAppPage, told: Told) -> None:
        seen, gone = told["id"] in self._seen, told.get("type") == "revoked"
        if seen and gone:
            await self._announcer.deleted(told["id"], told["chat"], told["chatPhone"])
        elif not seen and not gone:  # what was taken back before anybody read it was no message
            await self._message(page, told)
            await self._announcer.receipt_of(message(told))

    async def _message(self, page: WhatsAppPage, told: Told) -> None:
        if "broken" in told:
            raise ValueError(f"the page could not describe it: {told['broken']}")
        found = message(told)
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
        await self._host.save_cursor({_FIRST: str(self._first), _NOW: str(self._at), _RECENT: " ".join(recent)})
