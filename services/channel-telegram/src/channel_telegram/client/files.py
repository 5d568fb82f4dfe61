"""Files on their way out. Every function raises TelegramError and ConnectionLost."""

from typing import Any

from telethon import functions as _functions
from telethon import types as _types

from channel_telegram.client.connection import Connection
from channel_telegram.client.errors import TelegramError
from channel_telegram.media import Kind

_rpc: Any = _functions
_tl: Any = _types


async def put_file(connection: Connection, data: bytes, filename: str, content_type: str, kind: Kind) -> Any:
    """Upload a file and return what `send_media` takes, good for any number of messages of this account.

    Returned is opaque; the platform may let it expire: FILE_REFERENCE_EXPIRED.
    """
    seconds = 60 + len(data) / 50_000
    file = await connection.upload(data, filename, seconds)
    uploaded = _uploaded(file, filename, content_type, kind)
    request = _rpc.messages.UploadMediaRequest(_tl.InputPeerSelf(), uploaded)
    stored = await connection.call(request, timeout_seconds=seconds)
    if isinstance(stored, _tl.MessageMediaPhoto) and isinstance(stored.photo, _tl.Photo):
        photo = stored.photo
        return _tl.InputMediaPhoto(_tl.InputPhoto(photo.id, photo.access_hash, photo.file_reference))
    if isinstance(stored, _tl.MessageMediaDocument) and isinstance(stored.document, _tl.Document):
        document = stored.document
        return _tl.InputMediaDocument(_tl.InputDocument(document.id, document.access_hash, document.file_reference))
    raise TelegramError("MEDIA_INVALID")


def _uploaded(file: Any, filename: str, content_type: str, kind: Kind) -> Any:
    if kind == "photo":
        return _tl.InputMediaUploadedPhoto(file)
    attributes = [_tl.DocumentAttributeFilename(filename)]
    if kind in {"audio", "voice"}:
        attributes.append(_tl.DocumentAttributeAudio(duration=0, voice=kind == "voice" or None))
    elif kind == "video":
        attributes.append(_tl.DocumentAttributeVideo(duration=0, w=0, h=0, supports_streaming=True))
    return _tl.InputMediaUploadedDocument(file, content_type, attributes, force_file=kind == "document" or None)
