"""What the page tells of chats, as events: published once, under the address we know the person by."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from channelkit.protocol import Host, Inbound
from contracts.channels import Channel
from contracts.commands import Attachment, Recipient
from contracts.ids import inbound_id
from contracts.inbox import Deleted, Delivered, Edited, Read, Received
from servicekit.clock import utcnow
from servicekit.secrets import SealError

from channel_whatsapp.messages import DELIVERED, READ, ChatMessage
from channel_whatsapp.page import PageRefused, WhatsAppPage
from channel_whatsapp.parts import is_ours
from channel_whatsapp.peers import Peers, address_of, is_group, is_nobody

_REMEMBERED = 2000
_DOWNLOADS = 3
_DOWNLOAD_AGAIN_SECONDS = 2.0


class Account(Protocol):
    """What announcing needs of its session."""

    host: Host
    peers: Peers
    inbound_limit_bytes: int
    groups: bool
    identity: str


class Announcer:
    """Announces one account's messages, receipts, edits and deletions."""

    def __init__(self, account: Account) -> None:
        self._account, self._host = account, account.host
        self._receipted: OrderedDict[str, type[Delivered]] = OrderedDict()
        """Ids of ours → the latest receipt published."""

    async def message(self, page: WhatsAppPage, found: ChatMessage) -> None:
        """Publish a message that is wanted, with its files. Raises PageGone, Conflict, Unavailable."""
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

    async def unreadable(self, told: Mapping[str, Any]) -> None:
        """Publish that a message came which cannot be read: what is known of it, as page_side.js tells it."""
        platform_id, chat, account = str(told["id"]), str(told["chat"]), self._host.account
        own = bool(told.get("fromMe"))
        if not platform_id or told.get("notice") or self._is_unheard(chat) or (own and is_ours(platform_id)):
            return
        event_id = inbound_id(account.account_id, platform_id)
        try:
            conversation = await self._account.peers.address(chat, str(told.get("chatPhone") or ""))
        except SealError:
            conversation = address_of(chat, str(told.get("chatPhone") or ""))
        event = Received(
            id=event_id,
            account_id=account.account_id,
            channel=Channel.WHATSAPP,
            platform_id=platform_id,
            sender=Recipient(address=(self._account.identity or "me") if own else conversation),
            conversation=conversation,
            at=utcnow(),
            own=own,
            stub="unreadable",
        )
        await self._host.publish(event, event_id)

    def wanted(self, found: ChatMessage) -> bool:
        """Return whether a message is one a person wrote, to whom it concerns, and not one of ours."""
        if found.notice or self._is_unheard(found.chat):
            return False
        return not (found.from_me and (found.ours or is_ours(found.id)))

    def _is_unheard(self, chat: str) -> bool:
        return is_nobody(chat) or (is_group(chat) and not self._account.groups)

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
            data, content_type = await _downloaded(page, found.key, limit)
        except PageRefused as error:
            await self._host.log("warning", f"A file that came in could not be fetched: {error.code}")
            return [], "unreadable"
        if data is None:
            return [], "too_large"
        content_type = found.mimetype or content_type or "application/octet-stream"
        return [await self._host.put_media(data, found.filename or _name(found, content_type), content_type)], None

    async def receipt_of(self, found: ChatMessage) -> None:
        """Publish the receipt of a message of ours met while catching up: it may have come while nobody was there."""
        if found.from_me and found.ack >= DELIVERED and is_ours(found.id) and not is_nobody(found.chat):
            await self.receipts(found.ack, found.chat, found.chat_phone, [found.id])

    async def receipts(self, ack: int, chat: str, phone: str, ids: list[str]) -> None:
        """Publish that messages of ours were delivered or read."""
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
            self._receipted[platform_id] = kind
            while len(self._receipted) > _REMEMBERED:
                self._receipted.popitem(last=False)

    async def edited(self, found: ChatMessage) -> None:
        """Publish a message's new text."""
        if not self.wanted(found):
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

    async def deleted(self, platform_id: str, chat: str, phone: str) -> None:
        """Publish that a message was taken back."""
        if self._is_unheard(chat):
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


async def _downloaded(page: WhatsAppPage, key: str, limit: int) -> tuple[bytes | None, str]:
    """Fetch a file, again after a pause: right after a reconnect the page may be refused one, or refuse it."""
    for _ in range(_DOWNLOADS - 1):
        try:
            return await page.download(key, limit)
        except PageRefused as error:
            if error.code == "timeout":  # minutes were enough
                raise
        await asyncio.sleep(_DOWNLOAD_AGAIN_SECONDS)
    return await page.download(key, limit)


def _name(found: ChatMessage, content_type: str) -> str:
    ending = content_type.partition(";")[0].rpartition("/")[2]
    return f"{found.kind or 'file'}.{ending or 'bin'}"
