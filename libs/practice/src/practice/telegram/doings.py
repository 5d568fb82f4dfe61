"""The part of the API by which people do something: be created, write, edit, delete, read, end logins."""

import os
import time
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, HTTPException
from telethon.extensions import html

from practice.telegram.bodies import (
    ChangeBody,
    LogOutBody,
    MessageBody,
    PeopleBody,
    PersonBody,
    ReadBody,
    RuleBody,
)
from practice.telegram.people import NumberRule, digits
from practice.telegram.telling import known, shown, told

if TYPE_CHECKING:
    from practice.telegram.platform import TelegramPlatform
    from practice.telegram.world import World


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
        change = world.add_contact if is_known else world.remove_contact
        change(known(world, owner).id, known(world, phone).id)
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
        keys = list(known(world, body.phone).logins.values())
        keys = keys[-1:] if body.newest_only else keys
        for key in keys:
            open_now = list(key.connections)
            world.sign_out(key.id, body.error, forget=body.forget_keys)
            for connection in open_now:
                connection.transport.abort()
        return {"logins": len(keys)}

    @router.post("/codes/expire")
    async def expire_codes(phone: str) -> dict[str, str]:
        world.logins.expire(digits(phone))
        return {"status": "ok"}
