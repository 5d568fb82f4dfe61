"""One command as the messages WhatsApp is to show, one after another, and the ids they carry."""

import hashlib
from dataclasses import dataclass
from typing import Literal

from contracts.commands import Attachment, Content

FileKind = Literal["image", "video", "audio", "document"]
CAPTION_LIMIT = 1024
"""Characters WhatsApp takes beside a picture, film or document; a longer text goes as a message of its own."""
_PREFIX = "3EB0"
"""How the ids of messages sent by WhatsApp Web begin."""
_HEAD, _CHECK = 13, 5
_IMAGES = {"image/jpeg", "image/png", "image/webp"}
_VIDEOS = {"video/mp4", "video/3gpp", "video/quicktime"}
_VOICE = {"audio/ogg", "audio/ogg; codecs=opus", "audio/opus"}


@dataclass(frozen=True)
class Part:
    """One message: words, or a file with or without them."""

    text: str = ""
    attachment: Attachment | None = None


def parts(content: Content) -> list[Part]:
    """Return the messages of a content: text (as the first file's caption where it can be one), files, bubbles."""
    text, files = content.text, list(content.attachments)
    if files and text and (kind(files[0]) == "audio" or len(text) > CAPTION_LIMIT):
        first = [Part(text)]
    elif files:
        first = [Part(text, files.pop(0))]
    else:
        first = [Part(text)]
    return [*first, *(Part("", file) for file in files), *(Part(bubble) for bubble in content.bubbles)]


def count(content: Content) -> int:
    """Return how many messages a content becomes."""
    return len(parts(content))


def kind(file: Attachment) -> FileKind:
    """Return as what WhatsApp is to show a file."""
    content_type = file.content_type.lower()
    if content_type in _IMAGES:
        return "image"
    if content_type in _VIDEOS:
        return "video"
    return "audio" if content_type.startswith("audio/") else "document"


def is_voice(file: Attachment) -> bool:
    """Return whether a file is shown as a voice note: the one format phones record them in."""
    return file.content_type.lower() in _VOICE


def message_id(platform_key: str) -> str:
    """Return the id of a message: of the form WhatsApp Web gives its own (3EB0 and 18 hex digits), from our key.

    The same key gives the same id at every redelivery. Its last digits are a check sum, so that a message of ours is
    known by its id alone, also by a process that did not send it.
    """
    head = platform_key[:_HEAD].upper()
    return f"{_PREFIX}{head}{_check(head)}"


def is_ours(message_id: str) -> bool:
    """Return whether an id is one of `message_id` (by chance: one of a million of another WhatsApp Web's)."""
    head, check = message_id[len(_PREFIX) : -_CHECK], message_id[-_CHECK:]
    return message_id.startswith(_PREFIX) and len(head) == _HEAD and check == _check(head)


def _check(head: str) -> str:
    return hashlib.sha256(f"kurir {head}".encode()).hexdigest()[:_CHECK].upper()
