"""What the API takes."""

import base64
import random
import time
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from telethon.tl import types as t

from practice.telegram.files import StoredFile
from practice.telegram.people import MAIN_DC, Behaviour


class Strict(BaseModel):
    """A request body with nothing unknown in it."""

    model_config = ConfigDict(extra="forbid")


class PersonBody(Strict):
    """What to set of a person; what is left out stays."""

    name: str = ""
    username: str = ""
    home_dc: Literal[2, 4] = 2
    password: str = ""
    hint: str = ""
    banned: bool = False
    acts: Behaviour | None = None
    reply_text: str = "Yes, please."

    def fields(self) -> dict[str, Any]:
        """Return what was given."""
        return self.model_dump(exclude_unset=True)


class PeopleBody(Strict):
    """Many people at once: these numbers, or `count` numbers from the first."""

    phones: list[str] = []
    first: str = ""
    count: int = Field(default=0, ge=0, le=200_000)
    person: PersonBody = PersonBody()


class RuleBody(Strict):
    """Numbers of a pattern exist (or only act) without being created."""

    pattern: str
    acts: Behaviour | None = None
    exists: bool = True
    reply_text: str = ""


class MediaBody(Strict):
    """A file as a person sends it."""

    kind: Literal["photo", "document", "audio", "video", "voice"] = "document"
    name: str = "file.bin"
    mime: str = "application/octet-stream"
    data_base64: str

    def stored(self) -> StoredFile:
        """Return the file as the server keeps it."""
        extra: dict[str, list[Any]] = {
            "audio": [t.DocumentAttributeAudio(duration=1, title=self.name)],
            "voice": [t.DocumentAttributeAudio(duration=1, voice=True)],
            "video": [t.DocumentAttributeVideo(duration=1, w=320, h=240)],
        }
        attributes = [t.DocumentAttributeFilename(self.name), *extra.get(self.kind, [])]
        kind = "photo" if self.kind == "photo" else "document"
        data = base64.b64decode(self.data_base64)
        return StoredFile(random.getrandbits(62), kind, data, self.mime, attributes, MAIN_DC, int(time.time()))


class MessageBody(Strict):
    """What one person writes to another; html is Telegram's own few tags."""

    sender: str
    to: str
    text: str = ""
    html: str | None = None
    media: MediaBody | None = None
    reply_to: int = Field(default=0, description="the number of a message in the writer's box")


class ChangeBody(Strict):
    """A message in its writer's box (`id`), or several, of which one side changes something."""

    owner: str
    ids: list[int] = []
    text: str = ""
    revoke: bool = True


class ReadBody(Strict):
    """Who reads whose messages, up to a number in the reader's box (0: all)."""

    reader: str
    sender: str
    up_to: int = 0


class LogOutBody(Strict):
    """Which logins of a person end, and what their calls answer from then on."""

    phone: str
    error: str = "AUTH_KEY_UNREGISTERED"
    forget_keys: bool = False
    newest_only: bool = False
