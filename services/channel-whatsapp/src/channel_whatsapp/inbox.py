"""What comes in: the page's messages and receipts, published once each; the cursor follows.

The page tells what happens while it is open. After every start the chats that moved since the cursor are looked through
as well, so what came while nobody was there, or was told to a process that died, is published then.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from channelkit.protocol import Host, Inbound
from contracts.channels import Channel
from contracts.commands import Attachment, Recipient
from contracts.ids import inbound_id
from contracts.inbox import Deleted, Delivered, Edited, Read, Received
from servicekit.clock import utcnow
from servicekit.errors import KurirError
from servicekit.logs import get_logger

from channel_whatsapp.messages import DELIVERED, READ, ChatMessage, message
from channel_whatsapp.page import PageGone, PageRefused, WhatsAppPage
from channel_whatsapp.parts import is_ours
from channel_whatsapp.peers import Peers, is_group, is_nobody

T = TypeVar("T")
_log = get_logger("channel_whatsapp.inbox")
_OVERLAP_SECONDS = 600
"""Messages come in the order WhatsApp's server had them, not in that of their times: so far back is looked again."""
_PER_CHAT = 200
_SEEN = 2000
_SAVED = 300
_NOW, _RECENT = "at", "recent"


class Account(Protocol):
    """What the inbox needs of its session."""

    host: Host
    peers: Peers
    inbound_limit_bytes: int
    groups: bool
    identity: str


class Inbox:
    """One account's inbox, from its first page to the session's end."""

    def __init__(self, account: Account) -> None:
        self._account, self._host = account, account.host
        self._told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._seen: OrderedDict[str, int] = OrderedDict()
        """Ids published lately → their times."""
        self._receipted: OrderedDict[str, type[Delivered]] = OrderedDict()
        """Ids of ours → the latest receipt published."""
        self._at = 0
        self._loaded = False

    def hear(self, told: dict[str, Any]) -> None:
        """Take what the page tells; it is handled in its turn."""
        self._told.put_nowait(told)

    async def run(self, page: WhatsAppPage) -> None:
        """Catch up, then handle what is told, until cancelled or the page goes away (PageGone)."""
        since = await self._load()
        for found in await page.since(since, _PER_CHAT):
            await self._safely(self._caught_up(page, found), found.id)
        await self._save()
        while True:
            await self._handle(page, await self._told.get())
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
                work = self._message(page, message(told["message"]))
            case "ack":
                work = self._receipts(told["ack"], told["chat"], told["chatPhone"], told["ids"])
            case "edited":
                work = self._edited(message(told["message"]))
            case _:
                work = self._deleted(told["id"], told["chat"], told["chatPhone"])
        await self._safely(work, str(told.get("id", "")))

    async def _safely(self, work: Coroutine[Any, Any, None], platform_id: str) -> None:
        """One strange message must not stop the others: it is written down, and counts as read."""
        account_id = self._host.account.account_id
        try:
            await work
        except (PageGone, KurirError):
            raise
        except Exception as error:
            _log.error("not read", account=account_id, exc_info=error)
            _keep(self._seen, platform_id, self._at)
            await self._host.dead_letter(platform_id.encode(), repr(error), inbound_id(account_id, platform_id, "dead"))

    async def _caught_up(self, page: WhatsAppPage, found: ChatMessage) -> None:
        await self._message(page, found)
        await self._receipt_of(found)

    async def _message(self, page: WhatsAppPage, found: ChatMessage) -> None:
        if found.id in self._seen or not self._wanted(found):
            return
        attachments, stub = await self._attachments(page, found)
        account = self._host.account
        conversation = await self._account.peers.address(found.chat, found.chat_phone)
        event_id = inbound_id(account.account_id, found.id)
        event = Received(
            id=event_id,
            account_id=account.account_id,
            channel=Channel.WHATSAPP,
            platform_id=found.id,
            sender=await self._sender(found, conversation),
            conversation=conversation,
            at=datetime.fromtimestamp(found.at, UTC),
            text=found.text,
            attachments=attachments,
            references=[found.quoted] if found.quoted else [],
            own=found.from_me,
            stub=stub,
        )
        await self._host.publish(event, event_id)
        self._note(found)

    def _wanted(self, found: ChatMessage) -> bool:
        if found.notice or is_nobody(found.chat) or (is_group(found.chat) and not self._account.groups):
            return False
        return not (found.from_me and (found.ours or is_ours(found.id)))

    async def _sender(self, found: ChatMessage, conversation: str) -> Recipient:
        if found.from_me:
            return Recipient(address=self._account.identity or "me")
        if is_group(found.chat):
            conversation = await self._account.peers.address(found.author, found.author_phone)
        return Recipient(address=conversation, name=found.name[:500] or None)

    async def _attachments(self, page: WhatsAppPage, found: ChatMessage) -> tuple[list[Attachment], str | None]:
        """Return the message's files, and why they are missing."""
        if found.card:
            return [await self._host.put_media(found.card.encode(), "contact.vcf", "text/vcard")], None
        if not found.media:
            return [], None if found.text else "unreadable"
        limit = self._account.inbound_limit_bytes
        if found.size > limit:
            return [], "too_large"
        try:
            data, content_type = await page.download(found.key, limit)
        except PageRefused as error:
            await self._host.log("warning", f"A file that came in could not be fetched: {error.code}")
            return [], "unreadable"
        if data is None:
            return [], "too_large"
        content_type = found.mimetype or content_type or "application/octet-stream"
        return [await self._host.put_media(data, found.filename or _name(found, content_type), content_type)], None

    async def _receipt_of(self, found: ChatMessage) -> None:
        """A message of ours met while catching up: its receipt may have come while nobody was there."""
        if found.from_me and found.ack >= DELIVERED and is_ours(found.id) and not is_nobody(found.chat):
            await self._receipts(found.ack, found.chat, found.chat_phone, [found.id])

    async def _receipts(self, ack: int, chat: str, phone: str, ids: list[str]) -> None:
        if ack < DELIVERED or is_nobody(chat):
            return
        conversation = await self._account.peers.address(chat, phone)
        for platform_id in filter(is_ours, ids):
            kind: type[Delivered] = Read if ack >= READ else Delivered
            if self._receipted.get(platform_id) in {kind, Read}:
                continue
            event = kind(
                account_id=self._host.account.account_id,
                channel=Channel.WHATSAPP,
                conversation=conversation,
                platform_id=platform_id,
                at=utcnow(),
            )
            await self._publish(event, platform_id, kind.__name__)
            _keep(self._receipted, platform_id, kind)

    async def _edited(self, found: ChatMessage) -> None:
        if not self._wanted(found):
            return
        event = Edited(
            id=inbound_id(self._host.account.account_id, found.id),
            account_id=self._host.account.account_id,
            channel=Channel.WHATSAPP,
            platform_id=found.id,
            conversation=await self._account.peers.address(found.chat, found.chat_phone),
            text=found.text,
            at=utcnow(),
        )
        await self._publish(event, found.id, f"edited {found.text}")

    async def _deleted(self, platform_id: str, chat: str, phone: str) -> None:
        if is_nobody(chat) or (is_group(chat) and not self._account.groups):
            return
        event = Deleted(
            ids=[inbound_id(self._host.account.account_id, platform_id)],
            account_id=self._host.account.account_id,
            channel=Channel.WHATSAPP,
            platform_ids=[platform_id],
            conversation=await self._account.peers.address(chat, phone),
            at=utcnow(),
        )
        await self._publish(event, platform_id, "deleted")

    async def _publish(self, event: Inbound, platform_id: str, what: str) -> None:
        await self._host.publish(event, inbound_id(self._host.account.account_id, platform_id, what))

    def _note(self, found: ChatMessage) -> None:
        _keep(self._seen, found.id, found.at)
        self._at = max(self._at, found.at)

    async def _save(self) -> None:
        recent = [one for one, at in self._seen.items() if at >= self._at - _OVERLAP_SECONDS][-_SAVED:]
        await self._host.save_cursor({_NOW: str(self._at), _RECENT: " ".join(recent)})


def _name(found: ChatMessage, content_type: str) -> str:
    ending = content_type.partition(";")[0].rpartition("/")[2]
    return f"{found.kind or 'file'}.{ending or 'bin'}"


def _keep(lately: OrderedDict[str, T], platform_id: str, value: T) -> None:
    lately[platform_id] = value
    while len(lately) > _SEEN:
        lately.popitem(last=False)
