"""Sends an account's messages, part after part; the platform recognises what it has seen."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from channelkit.protocol import NotClaimed, OutcomeUnknown, Outgoing
from contracts.commands import Attachment, Recipient, SendMessage
from servicekit.errors import Permanent, Retry, Unavailable
from servicekit.logs import get_logger

from channel_telegram.client import messages
from channel_telegram.client.connection import Connection
from channel_telegram.client.errors import ConnectionLost, TelegramError
from channel_telegram.media import StillUploading
from channel_telegram.model import Message, Peer
from channel_telegram.parts import Part, parts
from channel_telegram.sent import SentIds

_log = get_logger("channel_telegram.sender")
_LOOK_BACK = 100
_UPLOAD_LOOK_SECONDS = 2.0
_GONE = "0"
"""The id of a message that was sent and is no longer in the conversation."""
_EXPIRED = ("FILE_REFERENCE",)
_STALE = {"PEER_ID_INVALID", "USER_ID_INVALID"}
_NO_QUOTE = {"MESSAGE_ID_INVALID", "MSG_ID_INVALID", "REPLY_MESSAGE_ID_INVALID", "REPLY_TO_INVALID"}
"""The message to quote is no longer there: the answer goes without it."""


class Account(Protocol):
    """What a sender needs of its session."""

    sent: SentIds

    @property
    def connection(self) -> Connection:
        """Return the present connection. Raises ConnectionLost."""
        ...

    async def peer(self, to: Recipient, *, anew: bool = False) -> Peer:
        """Return whom to write to. Raises Permanent, TelegramError, ConnectionLost."""
        ...

    async def uploaded(self, attachment: Attachment, *, anew: bool = False) -> Any:
        """Return a file the platform has. Raises Permanent, TelegramError, ConnectionLost."""
        ...

    async def judged(self, error: Exception, *, claimed: bool) -> Exception:
        """Return what the kit must hear of an error."""
        ...


class TelegramSender:
    """Implements protocol.Sender."""

    def __init__(self, account: Account) -> None:
        self._account = account

    async def send(self, out: Outgoing, following: Callable[[], Outgoing | None]) -> Sequence[str]:  # noqa: ARG002
        """Send what an earlier try has not; see protocol.Sender for the errors."""
        account, claimed = self._account, False
        todo = parts(out.command.content)
        if not todo:
            raise Permanent("empty_message", "there is nothing to send")
        try:
            peer = await account.peer(out.command.to)
            for part in todo[len(out.parts_done) :]:
                if part.attachment is not None:
                    await account.uploaded(part.attachment)
            _ = account.connection  # no claim without one
            await out.claim()
            claimed = True
            done = list(out.parts_done)  # the claim has just read what an earlier holder sent
            for known in done:
                account.sent.add(int(known))
            for number in range(len(done), len(todo)):
                key = random_id(out.platform_key(number))
                quoted = _quoted(out.command) if number == 0 else None
                done.append(await self._part(out.command.to, peer, todo[number], key, quoted))
                if number + 1 < len(todo):
                    await out.part_sent(done[-1])
        except (TelegramError, ConnectionLost) as error:
            raise await account.judged(error, claimed=claimed) from error
        except StillUploading as error:
            raise Retry(_UPLOAD_LOOK_SECONDS, str(error)) from error
        except Unavailable as error:
            raise (OutcomeUnknown(str(error)) if claimed else NotClaimed("nats_away")) from error
        return done

    async def abandon(self) -> None:
        """Nothing rides along here."""

    async def close(self) -> None:
        """Nothing to close: the connection is the session's."""

    async def _part(self, to: Recipient, peer: Peer, part: Part, key: int, quoted: int | None) -> str:
        account = self._account
        with account.sent.sending():
            try:
                message_id = await self._once(peer, part, key, quoted)
            except TelegramError as error:
                if error.name == "RANDOM_ID_DUPLICATE":
                    return await self._find(peer, part)
                if error.name.startswith(_EXPIRED) and part.attachment is not None:
                    await account.uploaded(part.attachment, anew=True)
                elif error.name in _STALE:
                    peer = await account.peer(to, anew=True)
                elif error.name in _NO_QUOTE and quoted:
                    quoted = None
                else:
                    raise
                message_id = await self._once(peer, part, key, quoted)
            account.sent.add(message_id)
        return str(message_id)

    async def _once(self, peer: Peer, part: Part, key: int, quoted: int | None) -> int:
        connection = self._account.connection
        if part.attachment is None:
            return await messages.send_text(connection, peer, part.body, key, quoted)
        media = await self._account.uploaded(part.attachment)
        return await messages.send_media(connection, peer, media, part.body, key, quoted)

    async def _find(self, peer: Peer, part: Part) -> str:
        """Return the id of a message the platform has already: the newest of ours that says the same."""
        found = await messages.recent_sent(self._account.connection, peer, _LOOK_BACK)
        same = [one for one in found if _says(one, part)]
        fresh = [one for one in same if one.id not in self._account.sent]
        if not same:
            _log.warning("a message the platform has is not in its conversation")
            return _GONE
        message_id = (fresh or same)[0].id
        self._account.sent.add(message_id)
        return str(message_id)


def random_id(platform_key: str) -> int:
    """Return a platform key as the signed 64 bits Telegram wants."""
    return int.from_bytes(bytes.fromhex(platform_key)[:8], "big", signed=True) or 1


def _quoted(command: SendMessage) -> int | None:
    """Return the message that a person's answer quotes, as Telegram counts them."""
    number = command.thread.in_reply_to if command.thread else ""
    return int(number) if number.isascii() and number.isdigit() and len(number) <= 10 else None


def _says(message: Message, part: Part) -> bool:
    return message.text == part.body.text and (message.media is not None) == (part.attachment is not None)
