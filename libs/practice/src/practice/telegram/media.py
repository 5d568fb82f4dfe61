"""Files: uploaded in parts, carried by messages, fetched with a reference that may expire.

Source: https://core.telegram.org/api/files.
"""

import random
import time
from hashlib import md5
from typing import Any

from telethon.tl import functions as f
from telethon.tl import types as t

from practice.telegram import views
from practice.telegram.calls import Call, RpcError, handles
from practice.telegram.files import StoredFile

PART_BYTES = 524_288


@handles(f.upload.SaveFilePartRequest, f.upload.SaveBigFilePartRequest)
def save_part(call: Call, request: Any) -> Any:
    """Take one part of a file."""
    if len(request.bytes) > PART_BYTES:
        raise RpcError("FILE_PART_TOO_BIG")
    call.connection.platform.uploads.setdefault(request.file_id, {})[request.file_part] = request.bytes
    return True


def taken(call: Call, media: Any) -> StoredFile:
    """Return the file of an InputMedia: one just uploaded, or one that lies here already. Raises RpcError."""
    if isinstance(media, t.InputMediaUploadedPhoto | t.InputMediaUploadedDocument):
        return _uploaded(call, media)
    if isinstance(media, t.InputMediaPhoto | t.InputMediaDocument):
        return _kept(call, media.id)
    raise RpcError("MEDIA_INVALID")


def _uploaded(call: Call, media: Any) -> StoredFile:
    parts = call.connection.platform.uploads.pop(media.file.id, {})
    if sorted(parts) != list(range(media.file.parts)) or not parts:
        raise RpcError("FILE_PARTS_INVALID")
    data = b"".join(parts[n] for n in range(media.file.parts))
    promised = getattr(media.file, "md5_checksum", "")
    if promised and promised != md5(data).hexdigest():  # noqa: S324 # Telegram's own
        raise RpcError("MD5_CHECKSUM_INVALID")
    photo = isinstance(media, t.InputMediaUploadedPhoto)
    return call.world.add_file(
        StoredFile(
            id=random.getrandbits(62),
            kind="photo" if photo else "document",
            data=data,
            mime="image/jpeg" if photo else media.mime_type,
            attributes=[] if photo else media.attributes,
            dc=call.world.switches.files_dc or call.me.home_dc,
            date=int(time.time()),
        )
    )


def _kept(call: Call, location: Any) -> StoredFile:
    """Return a file that lies here, for a reference that is still good."""
    file = call.world.files.get(getattr(location, "id", 0))
    if file is None:
        raise RpcError("FILE_ID_INVALID")
    if location.file_reference != b"%d" % call.world.file_reference:
        raise RpcError("FILE_REFERENCE_EXPIRED")
    return file


@handles(f.messages.UploadMediaRequest)
def upload_media(call: Call, request: Any) -> Any:
    """Keep a file without sending it yet."""
    return views.media(call.world, taken(call, request.media))


@handles(f.upload.GetFileRequest, elsewhere=True)
def get_file(call: Call, request: Any) -> Any:
    """Return a stretch of a file, at the DC where it lies."""
    file = _kept(call, request.location)
    if file.dc != call.connection.dc:
        raise RpcError(f"FILE_MIGRATE_{file.dc}")
    return t.upload.File(t.storage.FileUnknown(), file.date, file.data[request.offset : request.offset + request.limit])
