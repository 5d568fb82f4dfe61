"""Attachments on their way out: each is uploaded once per account and used again."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from contracts.commands import Attachment

Kind = Literal["photo", "video", "audio", "voice", "document"]
_PHOTOS = {"image/jpeg", "image/png", "image/webp"}
_VOICES = {"audio/ogg", "audio/opus"}
_LARGEST_PHOTO = 10_000_000
"""Bytes; larger pictures are sent as documents (https://core.telegram.org/api/files)."""


def kind(attachment: Attachment) -> Kind:
    """Return how an attachment is shown; by its content type, and large pictures as documents."""
    content_type = attachment.content_type.split(";")[0].strip().lower()
    if content_type in _PHOTOS and attachment.size <= _LARGEST_PHOTO:
        return "photo"
    if content_type in _VOICES:
        return "voice"
    if content_type.startswith("audio/"):
        return "audio"
    return "video" if content_type == "video/mp4" else "document"


class Uploads:
    """What the platform gave for files it has, the least used leaving first."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._known: OrderedDict[tuple[str, Kind], Any] = OrderedDict()

    async def get(self, attachment: Attachment, upload: Callable[[Attachment, Kind], Awaitable[Any]]) -> Any:
        """Return what `send_media` takes, uploading what is not known. Raises what *upload* raises."""
        key = (attachment.object, kind(attachment))
        if key not in self._known:
            self._known[key] = await upload(attachment, key[1])
            if len(self._known) > self._kept:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]

    def forget(self, attachment: Attachment) -> None:
        """Drop a file whose reference has expired."""
        self._known.pop((attachment.object, kind(attachment)), None)
