"""What the API is given."""

import base64
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from practice.whatsapp.messages import Archive
from practice.whatsapp.people import DEFAULT_REPLY, Acts, Group, Person

GroupBody = Group


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class RangeBody(_Body):
    """Consecutive numbers, all alike."""

    first: str = Field(pattern=r"^\+\d{6,15}$")
    count: int = Field(ge=1, le=100_000)
    acts: Acts = Acts.RECEIVE
    says: str = DEFAULT_REPLY
    exists: bool = True
    lid_chats: bool = True

    def people(self) -> list[Person]:
        """Return one person for each number."""
        alike = {"acts": self.acts, "says": self.says, "exists": self.exists, "lid_chats": self.lid_chats}
        first = int(self.first[1:])
        return [Person(phone=f"+{first + n}", name=f"Number {n + 1}", **alike) for n in range(self.count)]


class ScanBody(_Body):
    """The phone scans what the page shows."""

    qr_text: str
    phone: str


class PairingBody(_Body):
    """The phone is given a page's pairing code."""

    code: str
    phone: str


class LogOutBody(_Body):
    """The phone ends its logins; the reason is one of wa-js's LogoutReason."""

    phone: str
    reason: str = "user_initiated"


class AckBody(_Body):
    """What became of a message."""

    ack: Literal[2, 3, 4]


class TypingBody(_Body):
    """Someone is typing, or stopped."""

    sender: str = Field(alias="from")
    to: str
    state: Literal["composing", "recording", "paused"] = "composing"


class WriteBody(_Body):
    """What a person's phone sends; with a file, the text is its caption."""

    sender: str = Field(alias="from")
    to: str = Field(description="a number or a group's id")
    text: str = ""
    media_base64: str | None = None
    mimetype: str = "application/octet-stream"
    filename: str | None = None
    type: Literal["chat", "image", "video", "audio", "ptt", "document", "sticker"] = "chat"
    quotes: str | None = Field(default=None, description="the id of the message this answers")

    def content(self, archive: Archive) -> dict[str, Any]:
        """Return the message's content, its file kept."""
        if self.media_base64 is None:
            return {"type": "chat", "body": self.text, "quotedStanzaID": self.quotes}
        data = base64.b64decode(self.media_base64)
        file = {"filehash": archive.put_media(data), "size": len(data), "mimetype": self.mimetype}
        kind = self.type if self.type != "chat" else self._kind()
        named = {"filename": self.filename, "caption": self.text or None, "quotedStanzaID": self.quotes}
        return {"type": kind, "body": "", **file, **named}

    def _kind(self) -> str:
        kind = self.mimetype.split("/", 1)[0]
        return kind if kind in {"image", "video", "audio"} else "document"
