"""The part of the API by which people do something: be created, write, edit, delete, read, end logins."""

import base64
import os
import random
import time
from typing import TYPE_CHECKING, Any, Literal

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field
from telethon.extensions import html
from telethon.tl import types as t

from practice.telegram.people import MAIN_DC, Behaviour, NumberRule, digits
from practice.telegram.telling import known, shown, told
from practice.telegram.world import StoredFile

if TYPE_CHECKING:
    from practice.telegram.platform import TelegramPlatform
    from practice.telegram.world import World


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


def doings(platform: "TelegramPlatform") -> APIRouter:
    """Return the routes."""
    router = APIRouter()
    _creation(router, platform.world)
    _writing(router, platform.world)
    _logins(router, platform)
    return router


def _creation(router: APIRouter, world: "World") -> None:
    @router.put("/people/{phone}")
    async def put_person(phone: str, body: PersonBody) -> dict[str, Any]:
        return told(world.put_person(phone, body.fields()))

    @router.post("/people")
    async def put_people(body: PeopleBody) -> dict[str, int]:
        first = digits(body.first)
        numbers = [str(int(first) + n) for n in range(body.count)] if first else []
        for phone in [*body.phones, *numbers]:
            world.put_person(phone, body.person.fields())
        return {"people": len(world.people)}

    @router.put("/rules")
    async def put_rules(body: list[RuleBody]) -> list[dict[str, Any]]:
        world.set_rules([NumberRule(**one.model_dump()) for one in body])
        return [one.model_dump(mode="json") for one in body]

    @router.post("/contacts")
    async def put_contact(owner: str, phone: str, *, is_known: bool = True) -> dict[str, str]:
        world.add_contact(known(world, owner).id, known(world, phone).id, known=is_known)
        return {"status": "ok"}

    @router.post("/blocks")
    async def put_block(owner: str, phone: str, *, blocked: bool = True) -> dict[str, str]:
        world.block(known(world, owner).id, known(world, phone).id, blocked=blocked)
        return {"status": "ok"}


def _writing(router: APIRouter, world: "World") -> None:
    @router.post("/messages")
    async def write(body: MessageBody) -> dict[str, Any]:
        text, entities = html.parse(body.html) if body.html is not None else (body.text, [])
        media = world.add_file(body.media.stored()).id if body.media else 0
        sender, to = known(world, body.sender), known(world, body.to)
        letter = world.letter_from(sender, to, text, entities=entities, media=media, reply_to=body.reply_to)
        return shown(world, letter)

    @router.post("/messages/edit")
    async def edit(body: ChangeBody) -> dict[str, Any]:
        owner = known(world, body.owner)
        letter = owner.box.letters.get(body.ids[0]) if body.ids else None
        if letter is None:
            raise HTTPException(404, f"no message {body.ids}")
        world.tell(world.edit(owner.id, body.ids[0], body.text, None, int(time.time())))
        return shown(world, letter)

    @router.post("/messages/delete")
    async def delete(body: ChangeBody) -> dict[str, int]:
        changes = world.delete(known(world, body.owner).id, body.ids, body.revoke)
        world.tell(changes)
        return {"deleted": max((update.pts_count for _, update in changes), default=0)}

    @router.post("/messages/read")
    async def read(body: ReadBody) -> dict[str, int]:
        changes = world.read(known(world, body.reader).id, known(world, body.sender).id, body.up_to)
        world.tell(changes)
        return {"up_to": changes[0][1].max_id if changes else 0}


def _logins(router: APIRouter, platform: "TelegramPlatform") -> None:
    world = platform.world

    @router.post("/logins")
    async def make_login(phone: str) -> dict[str, Any]:
        person = known(world, phone)
        key = world.add_key(os.urandom(256), person.home_dc)
        world.sign_in(key.id, person.id)
        address = {"host": platform.ports.host, "port": platform.dcs[key.dc]}
        return {"auth_key": key.key.hex(), "dc": key.dc, "user_id": person.id, **address}

    @router.post("/logins/end")
    async def log_out(body: LogOutBody) -> dict[str, int]:
        keys = [key for key in world.keys.values() if key.id in known(world, body.phone).keys]
        for key in keys[-1:] if body.newest_only else keys:
            open_now = list(key.connections)
            world.sign_out(key.id, body.error, forget=body.forget_keys)
            for connection in open_now:
                connection.transport.abort()
        return {"logins": len(keys)}

    @router.post("/codes/expire")
    async def expire_codes(phone: str) -> dict[str, str]:
        world.logins.expire(digits(phone))
        return {"status": "ok"}
