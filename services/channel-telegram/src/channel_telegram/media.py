"""Attachments on their way out: each is uploaded once per account and used again."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from contracts.commands import Attachment
from servicekit import tasks

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


class StillUploading(ConnectionError):  # noqa: N818
    """Nobody's fault: the message waits for its file."""


class Uploads:
    """What the platform gave for files it has, the least used leaving first.

    An upload goes on when its sender has run out of time: the next try finds it done, or further.
    """

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._known: OrderedDict[tuple[str, Kind], asyncio.Task[Any]] = OrderedDict()

    async def get(
        self, attachment: Attachment, upload: Callable[[Attachment, Kind], Awaitable[Any]], seconds: float
    ) -> Any:
        """Return what `send_media` takes, uploading what is not known. Raises what *upload* raises.

        Raises StillUploading after so many seconds.
        """
        key = (attachment.object, kind(attachment))
        if key not in self._known:
            self._known[key] = asyncio.ensure_future(upload(attachment, key[1]))
            while len(self._known) > self._kept:
                self._known.popitem(last=False)[1].cancel()
        task = self._known[key]
        self._known.move_to_end(key)
        await asyncio.wait([task], timeout=seconds)
        failed = task.done() and (task.cancelled() or task.exception() is not None)
        if failed and self._known.get(key) is task:
            del self._known[key]
        if not task.done() or task.cancelled():  # it had to make room: the file's upload ended, not who waits for it
            raise StillUploading(f"{attachment.filename} is still being uploaded")
        return task.result()

    def forget(self, attachment: Attachment) -> None:
        """Drop a file whose reference has expired."""
        self._known.pop((attachment.object, kind(attachment)), None)

    async def close(self) -> None:
        """Give up what is still being uploaded."""
        await tasks.end(self._known.values())
        self._known.clear()
