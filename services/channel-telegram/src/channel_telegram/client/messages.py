"""Finding people, sending, and asking for what was missed. Every function raises TelegramError and ConnectionLost."""

from datetime import UTC, datetime
from typing import Any

from telethon import functions as _functions
from telethon import types as _types

from channel_telegram.client.connection import Connection
from channel_telegram.client.errors import TelegramError
from channel_telegram.client.parse import entities, message, person
from channel_telegram.client.updates import people, read_difference, read_position
from channel_telegram.formatting import Formatted
from channel_telegram.model import Difference, Message, Peer, Person, Position

_rpc: Any = _functions
_tl: Any = _types


async def import_contact(connection: Connection, phone: str, name: str) -> Person | None:
    """Add a phone number to the account's contacts and return whose it is: None where nobody can be found by it.

    Raises TelegramError("CONTACTS_LIMIT") where the platform takes no more contacts now.
    """
    contact = _tl.InputPhoneContact(client_id=0, phone=phone, first_name=name or phone, last_name="")
    answer = await connection.call(_rpc.contacts.ImportContactsRequest([contact]))
    if answer.retry_contacts:
        raise TelegramError("CONTACTS_LIMIT", 420)
    return person(answer.users[0]) if answer.users else None


async def resolve_username(connection: Connection, username: str) -> Person | None:
    """Return whose handle it is; None for a group's or a channel's."""
    answer = await connection.call(_rpc.contacts.ResolveUsernameRequest(username))
    found = people(answer.users)
    return found[0] if isinstance(answer.peer, _tl.PeerUser) and found else None


async def send_text(connection: Connection, peer: Peer, body: Formatted, random_id: int, quoted: int | None) -> int:
    """Send a message and return its id. A *random_id* seen before is refused as RANDOM_ID_DUPLICATE."""
    request = _rpc.messages.SendMessageRequest(
        peer=_tl.InputPeerUser(peer.id, peer.access_hash),
        message=body.text,
        entities=entities(body.marks) or None,
        reply_to=_tl.InputReplyToMessage(quoted) if quoted else None,
        random_id=random_id,
    )
    return _sent_id(await connection.call(request), random_id)


async def send_media(  # noqa: PLR0917  # what a message with a file is made of
    connection: Connection, peer: Peer, media: Any, body: Formatted, random_id: int, quoted: int | None
) -> int:
    """Send an uploaded file with its caption and return the message's id."""
    request = _rpc.messages.SendMediaRequest(
        peer=_tl.InputPeerUser(peer.id, peer.access_hash),
        media=media,
        message=body.text,
        entities=entities(body.marks) or None,
        reply_to=_tl.InputReplyToMessage(quoted) if quoted else None,
        random_id=random_id,
    )
    return _sent_id(await connection.call(request), random_id)


async def recent_sent(connection: Connection, peer: Peer, limit: int) -> list[Message]:
    """Return the latest messages we wrote to a person, newest first."""
    request = _rpc.messages.GetHistoryRequest(
        peer=_tl.InputPeerUser(peer.id, peer.access_hash),
        offset_id=0, offset_date=None, add_offset=0, limit=limit, max_id=0, min_id=0, hash=0,
    )  # fmt: skip
    found = [message(one) for one in (await connection.call(request)).messages]
    return [one for one in found if one is not None and one.out]


async def one_message(connection: Connection, message_id: int) -> Message | None:
    """Return a message anew, its file's reference fresh."""
    answer = await connection.call(_rpc.messages.GetMessagesRequest([_tl.InputMessageID(message_id)]))
    return next((found for one in answer.messages if (found := message(one)) is not None), None)


async def position(connection: Connection) -> Position:
    """Return how far the account's sequence is now."""
    return read_position(await connection.call(_rpc.updates.GetStateRequest()))


async def difference(connection: Connection, since: Position) -> Difference:
    """Return what was missed since a position, or its first slice."""
    date = datetime.fromtimestamp(since.date, UTC)
    request = _rpc.updates.GetDifferenceRequest(pts=since.pts, date=date, qts=since.qts)
    return read_difference(await connection.call(request), since)


def _sent_id(answer: Any, random_id: int) -> int:
    if isinstance(answer, _tl.UpdateShortSentMessage):
        return int(answer.id)
    for update in getattr(answer, "updates", []):
        if isinstance(update, _tl.UpdateMessageID) and update.random_id == random_id:
            return int(update.id)
    raise TelegramError("ANSWER_WITHOUT_ID", 500)
