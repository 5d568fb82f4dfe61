"""Messages, people and files of the schema as our values."""

from typing import Any

from telethon import types as _types
from telethon import utils as _utils

from channel_telegram.model import Mark, MarkKind, Media, Message, Person

_tl: Any = _types
_extension: Any = _utils.get_extension
_MARKS: dict[Any, MarkKind] = {
    _tl.MessageEntityBold: "bold",
    _tl.MessageEntityItalic: "italic",
    _tl.MessageEntityUnderline: "underline",
    _tl.MessageEntityStrike: "strike",
    _tl.MessageEntitySpoiler: "spoiler",
    _tl.MessageEntityCode: "code",
    _tl.MessageEntityPre: "pre",
    _tl.MessageEntityTextUrl: "link",
    _tl.MessageEntityBlockquote: "quote",
}
_ENTITIES = {kind: made for made, kind in _MARKS.items()}


def person(user: Any) -> Person:
    """Return a user. A *min* one's access hash is good for nothing we do (https://core.telegram.org/api/min)."""
    names = [one.username for one in user.usernames or [] if one.active]
    return Person(
        id=user.id,
        access_hash=None if user.min else user.access_hash,
        name=" ".join(filter(None, (user.first_name, user.last_name))),
        phone=f"+{user.phone.lstrip('+')}" if user.phone else "",
        username=user.username or (names[0] if names else ""),
        is_self=bool(user.is_self),
        is_bot=bool(user.bot),
    )


def message(found: Any) -> Message | None:
    """Return a message of a private conversation; None for groups, channels, and what the platform itself notes."""
    if not isinstance(found, _tl.Message) or not isinstance(found.peer_id, _tl.PeerUser):
        return None
    try:
        media, note = _media(found)
    except Exception:  # a kind of file newer than this code must not stop those behind it
        media, note = None, "[unreadable]"
    return Message(
        id=found.id,
        peer_id=found.peer_id.user_id,
        out=bool(found.out),
        at=found.date,
        text=found.message or "",
        marks=tuple(_mark(one) for one in found.entities or [] if type(one) in _MARKS),
        media=media,
        note=note,
        reply_to=getattr(found.reply_to, "reply_to_msg_id", None),
        edited_at=None if found.edit_hide else found.edit_date,
    )


def entities(marks: tuple[Mark, ...]) -> list[Any]:
    """Return marks as the schema has them."""
    made = []
    for mark in marks:
        values = {"link": {"url": mark.value}, "pre": {"language": mark.value}}.get(mark.kind, {})
        made.append(_ENTITIES[mark.kind](offset=mark.offset, length=mark.length, **values))
    return made


def _mark(entity: Any) -> Mark:
    value = getattr(entity, "url", None) or getattr(entity, "language", None) or ""
    return Mark(_MARKS[type(entity)], entity.offset, entity.length, value)


def _media(found: Any) -> tuple[Media | None, str]:  # noqa: PLR0911  # one line per kind
    held = found.media
    match held:
        case None | _tl.MessageMediaEmpty() | _tl.MessageMediaWebPage():
            return None, ""
        case _tl.MessageMediaPhoto() if isinstance(held.photo, _tl.Photo):
            return Media(f"photo_{found.id}.jpg", "image/jpeg", _photo_size(held.photo), held), ""
        case _tl.MessageMediaDocument() if isinstance(held.document, _tl.Document):
            return _document(found, held), ""
        case _tl.MessageMediaContact():
            name = " ".join(filter(None, (held.first_name, held.last_name)))
            return None, f"[contact] {name} +{held.phone_number.lstrip('+')}"
        case _tl.MessageMediaGeo() | _tl.MessageMediaGeoLive() | _tl.MessageMediaVenue():
            return None, _place(held)
        case _tl.MessageMediaPoll():
            return None, f"[poll] {getattr(held.poll.question, 'text', held.poll.question)}"
    return None, f"[{type(held).__name__.removeprefix('MessageMedia').lower()}]"


def _photo_size(photo: Any) -> int:
    sizes = [max(size.sizes) if hasattr(size, "sizes") else getattr(size, "size", 0) for size in photo.sizes]
    return max(sizes, default=0)


def _document(found: Any, held: Any) -> Media:
    document = held.document
    named = [one.file_name for one in document.attributes if isinstance(one, _tl.DocumentAttributeFilename)]
    name = named[0] if named and named[0] else f"{_kind(document)}_{found.id}{_extension(held) or ''}"
    return Media(name, document.mime_type or "application/octet-stream", document.size, held)


def _kind(document: Any) -> str:
    for one in document.attributes:
        match one:
            case _tl.DocumentAttributeAudio():
                return "voice" if one.voice else "audio"
            case _tl.DocumentAttributeVideo():
                return "video"
            case _tl.DocumentAttributeSticker():
                return "sticker"
    return "file"


def _place(held: Any) -> str:
    point = held.geo
    if not isinstance(point, _tl.GeoPoint):
        return "[location]"
    title = getattr(held, "title", "")
    return f"[location] {f'{title} ' if title else ''}{point.lat:.6f},{point.long:.6f}"
