"""Writing, editing, deleting and reading messages (https://core.telegram.org/api/messages)."""

import time
from typing import Any

from telethon.tl import functions as f
from telethon.tl import types as t

from practice.telegram import views
from practice.telegram.boxes import Letter
from practice.telegram.calls import Call, RpcError, handles
from practice.telegram.media import taken
from practice.telegram.people import Behaviour, Person, digits

TEXT_LIMIT, CAPTION_LIMIT = 4096, 1024
_REFUSALS: dict[Behaviour | None, str] = {
    Behaviour.BLOCK: "USER_IS_BLOCKED",
    Behaviour.PRIVACY: "USER_PRIVACY_RESTRICTED",
    Behaviour.DEACTIVATED: "INPUT_USER_DEACTIVATED",
}


def recipients(call: Call, request: Any) -> list[str]:
    """Return the numbers a request is about, for faults."""
    contacts = [digits(one.phone) for one in getattr(request, "contacts", ())]
    named = [getattr(request, "phone_number", ""), getattr(request, "phone", "")]
    person = call.world.people.get(getattr(getattr(request, "peer", None), "user_id", 0))
    return [*contacts, *(digits(one) for one in named if one), *([person.phone] if person else [])]


def utf16_length(text: str) -> int:
    """Return a length as Telegram counts it."""
    return len(text.encode("utf-16-le")) // 2


@handles(f.messages.SendMessageRequest)
def send_message(call: Call, request: Any) -> Any:
    """Deliver a text; the answer is the short form that Telegram uses in private chats."""
    if not request.message.strip():
        raise RpcError("MESSAGE_EMPTY")
    letter = _send(call, request, request)
    return t.UpdateShortSentMessage(letter.out_id, call.me.box.pts, 1, letter.date, out=True, entities=letter.entities)


@handles(f.messages.SendMediaRequest)
def send_media(call: Call, request: Any) -> Any:
    """Deliver a file with its caption."""
    return _sent(call, [_send(call, request, request, request.media)])


@handles(f.messages.SendMultiMediaRequest)
def send_multi_media(call: Call, request: Any) -> Any:
    """Deliver several files, one message each."""
    return _sent(call, [_send(call, request, one, one.media) for one in request.multi_media])


def _send(call: Call, request: Any, content: Any, media: Any = None) -> Letter:
    reader, me, world = call.person(request.peer), call.me, call.world
    _check(call, reader, content, TEXT_LIMIT if media is None else CAPTION_LIMIT)
    if world.switches.deduplicate and content.random_id in me.random_ids:
        world.note_repeat(content.random_id)
        raise RpcError("RANDOM_ID_DUPLICATE")
    letter = world.deliver(
        me.id,
        reader.id,
        content.message,
        int(time.time()),
        random_id=content.random_id,
        media=taken(call, media).id if media is not None else 0,
        reply_to=getattr(request.reply_to, "reply_to_msg_id", None) or 0,
        entities=content.entities,
    )
    world.announce(letter, but=call.connection)
    world.wake(letter)
    return letter


def _check(call: Call, reader: Person, content: Any, limit: int) -> None:
    if not content.random_id:
        raise RpcError("RANDOM_ID_INVALID")
    if len(content.message) > limit // 2 and utf16_length(content.message) > limit:
        raise RpcError("MESSAGE_TOO_LONG" if limit == TEXT_LIMIT else "MEDIA_CAPTION_TOO_LONG")
    if any(one.offset < 0 or one.length <= 0 for one in content.entities or ()):
        raise RpcError("ENTITY_BOUNDS_INVALID")
    refusal = _REFUSALS.get(call.world.behaviour(reader), "") or (
        "USER_IS_BLOCKED" if call.me.id in reader.blocked else ""
    )
    if refusal:
        raise RpcError(refusal)
    if reader.id in call.me.blocked:
        raise RpcError("YOU_BLOCKED_USER")


def _sent(call: Call, letters: list[Letter]) -> Any:
    first = call.me.box.pts - len(letters) + 1
    changes: list[Any] = [t.UpdateMessageID(one.out_id, one.random_id) for one in letters]
    changes += [
        t.UpdateNewMessage(views.message(call.world, one, call.me.id), first + n, 1) for n, one in enumerate(letters)
    ]
    return views.updates(call.world, call.me, changes, [one.receiver for one in letters])


@handles(f.messages.EditMessageRequest)
def edit_message(call: Call, request: Any) -> Any:
    """Change one's own message."""
    letter = call.me.box.letters.get(request.id)
    if letter is None or letter.peer_of(call.me.id) != call.person(request.peer).id:
        raise RpcError("MESSAGE_ID_INVALID")
    if letter.sender != call.me.id:
        raise RpcError("MESSAGE_AUTHOR_REQUIRED")
    if request.message == letter.text and (request.entities or None) == letter.entities:
        raise RpcError("MESSAGE_NOT_MODIFIED")
    changes = call.world.edit(call.me.id, request.id, request.message or "", request.entities, int(time.time()))
    call.world.tell(changes, but=call.connection)
    (mine,) = [update for person, update in changes if person is call.me]
    return views.updates(call.world, call.me, [mine], [letter.receiver])


@handles(f.messages.DeleteMessagesRequest)
def delete_messages(call: Call, request: Any) -> Any:
    """Delete messages here, and with `revoke` at the other side."""
    changes = call.world.delete(call.me.id, request.id, bool(request.revoke))
    call.world.tell(changes, but=call.connection)
    return _affected(call, changes)


@handles(f.messages.ReadHistoryRequest)
def read_history(call: Call, request: Any) -> Any:
    """Read a chat; the other side learns of it."""
    changes = call.world.read(call.me.id, call.person(request.peer).id, request.max_id)
    call.world.tell(changes, but=call.connection)
    return _affected(call, changes)


def _affected(call: Call, changes: Any) -> Any:
    count = sum(update.pts_count for person, update in changes if person is call.me)
    return t.messages.AffectedMessages(call.me.box.pts, count)


@handles(f.messages.SetTypingRequest)
def set_typing(call: Call, request: Any) -> Any:
    """Show the other side that one is writing; kept nowhere."""
    reader = call.person(request.peer)
    update = t.UpdateShort(t.UpdateUserTyping(call.me.id, request.action), int(time.time()))
    call.world.push(reader, update)
    return True
