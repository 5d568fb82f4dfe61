"""People and messages as the API tells them."""

from typing import TYPE_CHECKING, Any

from fastapi import HTTPException

from practice.telegram.boxes import Letter
from practice.telegram.people import Person, digits

if TYPE_CHECKING:
    from practice.telegram.world import World


def shown(world: "World", letter: Letter) -> dict[str, Any]:
    """Return a message as the API tells it: `id` is the sender's number of it, `to_id` the recipient's."""
    file = world.files.get(letter.media)
    return {
        "id": letter.out_id,
        "to_id": letter.in_id,
        "from": "+" + world.people[letter.sender].phone,
        "to": "+" + world.people[letter.receiver].phone,
        "text": letter.text,
        "entities": [{**one.to_dict(), "_": type(one).__name__} for one in letter.entities or ()],
        "media": None
        if file is None
        else {
            "id": str(file.id), "kind": file.kind, "mime": file.mime, "size": len(file.data), "sha256": file.sha256,
            "attributes": [one.to_dict() for one in file.attributes],
        },
        "reply_to": letter.reply_to.out_id if letter.reply_to else None,
        "random_id": str(letter.random_id),
        "date": letter.date,
        "edited": bool(letter.edited),
        "deleted": world.people[letter.receiver].id in letter.gone,
        "read": _is_read(world, letter),
    }  # fmt: skip


def _is_read(world: "World", letter: Letter) -> bool:
    chat = world.people[letter.receiver].box.chats.get(letter.sender)
    return chat is not None and chat.read_inbox >= letter.in_id


def known(world: "World", phone: str) -> Person:
    """Return who has a number. Raises HTTPException 404."""
    person = world.by_phone.get(digits(phone)) or world.find(phone)
    if person is None:
        raise HTTPException(404, f"nobody has {phone}")
    return person


def told(person: Person) -> dict[str, Any]:
    """Return what the API tells of a person."""
    return {
        "id": person.id, "phone": "+" + person.phone, "name": person.name, "username": person.username,
        "home_dc": person.home_dc, "banned": person.banned, "acts": person.acts, "pts": person.box.pts,
        "logins": len(person.logins), "connections": len(person.listeners),
    }  # fmt: skip
