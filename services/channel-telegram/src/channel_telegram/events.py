"""What came in, as events of the inbox: published and acknowledged when these functions return.

Each raises Conflict once the session is no longer the account's, Unavailable, ConnectionLost, and TelegramError for what
ends the login.
"""

import contextlib
from dataclasses import dataclass
from datetime import datetime

import orjson
from channelkit.protocol import Host
from contracts.channels import Channel
from contracts.commands import Attachment, Recipient
from contracts.ids import digest, inbound_id
from contracts.inbox import Deleted, Edited, Read, Received
from servicekit.clock import utcnow
from servicekit.errors import TooLarge

from channel_telegram.client import login, messages
from channel_telegram.client.connection import Connection
from channel_telegram.client.errors import ConnectionLost, TelegramError
from channel_telegram.formatting import to_html
from channel_telegram.model import Media, Message, Person
from channel_telegram.peers import Peers
from channel_telegram.refusals import login_words
from channel_telegram.settings import Settings

_DELETED_AT_ONCE = 500
_MOST_TRIES = 3


@dataclass
class _File:
    """A message's file: kept, or the reason why not."""

    kept: Attachment | None = None
    stub: str | None = None


class Announcer:
    """One account's incoming events."""

    def __init__(self, host: Host, settings: Settings, peers: Peers) -> None:
        self._host, self._settings, self._peers = host, settings, peers
        self._account_id = host.account.account_id
        self._me = Person(0)
        self._tries: dict[int, int] = {}

    def signed_in(self, person: Person) -> None:
        """Messages are this person's from now on."""
        self._me = person

    async def received(self, connection: Connection, message: Message, person: Person, *, own: bool) -> None:
        """A message came in, or was written from another of the owner's devices."""
        address = await self._peers.conversation(person)
        peer, me = Recipient(address=address, name=person.name[:500] or None), Recipient(address=self._my_address)
        file = await self._file(connection, message) if message.media else _File()
        event = Received(
            id=self._id(message.id),
            account_id=self._account_id,
            channel=Channel.TELEGRAM,
            platform_id=str(message.id),
            sender=me if own else peer,
            conversation=address,
            to=[peer if own else me],
            at=message.at,
            text="\n".join(filter(None, (message.text, message.note))),
            html=to_html(message.text, message.marks) if message.marks else None,
            attachments=[file.kept] if file.kept else [],
            references=[str(message.reply_to)] if message.reply_to else [],
            auto_reply=person.is_bot,
            own=own,
            stub=file.stub,
        )
        await self._host.publish(event, event.id)
        self._tries.pop(message.id, None)

    async def edited(self, message: Message, person: Person) -> None:
        """A message was changed."""
        event = Edited(
            id=self._id(message.id),
            account_id=self._account_id,
            channel=Channel.TELEGRAM,
            platform_id=str(message.id),
            conversation=await self._peers.conversation(person),
            text="\n".join(filter(None, (message.text, message.note))),
            html=to_html(message.text, message.marks) if message.marks else None,
            at=message.edited_at or message.at,
        )
        await self._host.publish(event, self._event_id("edited", message.id, event.at.isoformat(), event.text))

    async def deleted(self, ids: tuple[int, ...]) -> None:
        """Messages were taken back."""
        for start in range(0, len(ids), _DELETED_AT_ONCE):
            some = ids[start : start + _DELETED_AT_ONCE]
            event = Deleted(
                ids=[self._id(one) for one in some],
                account_id=self._account_id,
                channel=Channel.TELEGRAM,
                platform_ids=[str(one) for one in some],
                at=utcnow(),
            )
            await self._host.publish(event, self._event_id("deleted", *some))

    async def read(self, person: Person, max_id: int, at: datetime) -> None:
        """The other side has read everything up to a message."""
        event = Read(
            account_id=self._account_id,
            channel=Channel.TELEGRAM,
            platform_id=str(max_id),
            conversation=await self._peers.conversation(person),
            up_to=True,
            at=at,
        )
        await self._host.publish(event, self._event_id("read", person.id, max_id))

    async def unreadable(self, kind: str, message_id: int, why: str) -> None:
        """Something came that cannot be read or announced: what is known of it is kept, and nothing it says."""
        known = orjson.dumps({"platform_id": message_id, "kind": kind, "at": utcnow()})
        await self._host.dead_letter(known, why, self._event_id("unreadable", kind, message_id))

    async def _file(self, connection: Connection, message: Message) -> _File:
        """Fetch and keep a message's file; where that cannot be, its message is announced without."""
        assert message.media is not None
        media, limit = message.media, self._settings.inbound_limit_bytes
        data: bytes | None = None
        why = "too_large"
        if media.size <= limit:
            tries = self._tries[message.id] = self._tries.get(message.id, 0) + 1
            try:
                data = await self._fetched(connection, message, media)
            except TelegramError as error:
                if tries < _MOST_TRIES:
                    await self._raise_passing(connection, error)
                why = "unreadable"
            except ConnectionLost:
                if tries < _MOST_TRIES:
                    raise
                why = "unreadable"
        if data is not None:
            with contextlib.suppress(TooLarge):
                return _File(kept=await self._host.put_media(data, media.filename, media.content_type))
            why = "too_large"
        await self._host.dead_letter(_head(message, media), f"{why}: {media.size} bytes", self._id(message.id))
        return _File(stub=why)

    @staticmethod
    async def _raise_passing(connection: Connection, error: TelegramError) -> None:
        """Raise what is not the file's fault, so that it is asked for again."""
        if login_words(error):
            await login.whoami(connection)  # raises where the login has ended, not where a file's data centre says so
        if error.code == 420:
            raise error
        if error.code >= 500 or error.code == 401:
            raise ConnectionLost(error.words) from error

    async def _fetched(self, connection: Connection, message: Message, media: Media) -> bytes | None:
        limit, seconds = self._settings.inbound_limit_bytes, self._settings.download_timeout_seconds
        try:
            return await connection.download(media.reference, limit, seconds)
        except TelegramError as error:
            if not error.name.startswith("FILE_REFERENCE_"):
                raise
        anew = await messages.one_message(connection, message.id)
        if anew is None or anew.media is None:
            raise TelegramError("MESSAGE_ID_INVALID")
        return await connection.download(anew.media.reference, limit, seconds)

    @property
    def _my_address(self) -> str:
        return self._me.phone or self._me.username.lower() or f"#{self._me.id}"

    def _id(self, message_id: int) -> str:
        """Return the id of a message in Kurir: another person signed in here counts from 1 again."""
        return inbound_id(self._account_id, f"{self._me.id}.{message_id}")

    def _event_id(self, *what: object) -> str:
        return digest("telegram", self._account_id, self._me.id, *what)


def _head(message: Message, media: Media) -> bytes:
    """Return what is known of a message whose file is missing."""
    known = {"platform_id": message.id, "at": message.at, "text": message.text}
    file = {"filename": media.filename, "content_type": media.content_type, "size": media.size}
    return orjson.dumps({**known, "file": file})
