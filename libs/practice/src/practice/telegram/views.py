"""People, messages and files as one viewer's client sees them."""

import time
from typing import TYPE_CHECKING, Any

from telethon.tl import types as t

from practice.telegram.boxes import Event, Letter
from practice.telegram.people import Behaviour, Person

if TYPE_CHECKING:
    from practice.telegram.files import StoredFile
    from practice.telegram.world import World


def user(world: "World", person: Person, viewer: Person) -> t.User:
    """Return a person: its number only for those who have it as a contact, and then under the name they gave it."""
    me, known = person is viewer, person.id in viewer.contacts
    return t.User(
        id=person.id,
        is_self=me,
        contact=known,
        mutual_contact=known and viewer.id in person.contacts,
        deleted=person.acts is Behaviour.DEACTIVATED,
        access_hash=world.access_hash(viewer, person),
        first_name=viewer.contacts.get(person.id) or person.name,
        username=person.username or None,
        phone=person.phone if me or known else None,
        status=t.UserStatusRecently(),
    )


def users(world: "World", viewer: Person, ids: list[int]) -> list[t.User]:
    """Return these people and the viewer, each once."""
    return [user(world, world.people[one], viewer) for one in dict.fromkeys([*ids, viewer.id])]


def message(world: "World", letter: Letter, owner: int) -> t.Message:
    """Return a message as it lies in one side's box."""
    answered = letter.reply_to
    return t.Message(
        id=letter.id_for(owner),
        peer_id=t.PeerUser(letter.peer_of(owner)),
        date=letter.date,
        message=letter.text,
        out=letter.sender == owner,
        entities=letter.entities,
        media=media(world, world.files[letter.media]) if letter.media else None,
        edit_date=letter.edited or None,
        reply_to=t.MessageReplyHeader(reply_to_msg_id=answered.id_for(owner)) if answered else None,
    )


def media(world: "World", file: "StoredFile") -> Any:
    """Return a file as a message carries it, with the reference that opens it now."""
    reference = b"%d" % world.file_reference
    if file.kind == "photo":
        size = t.PhotoSize("x", 800, 600, len(file.data))
        return t.MessageMediaPhoto(photo=t.Photo(file.id, file.id, reference, file.date, [size], file.dc))
    kinds = {type(one): one for one in file.attributes}
    document = t.Document(
        file.id, file.id, reference, file.date, file.mime, len(file.data), file.dc, list(kinds.values())
    )
    audio, video = kinds.get(t.DocumentAttributeAudio), kinds.get(t.DocumentAttributeVideo)
    return t.MessageMediaDocument(document=document, voice=bool(audio and audio.voice), video=bool(video))


def updates(world: "World", viewer: Person, changes: list[Any], about: list[int]) -> t.Updates:
    """Return changes with the people they speak of."""
    return t.Updates(changes, users(world, viewer, about), [], int(time.time()), 0)


def people_of(update: Any) -> list[int]:
    """Return the ids of the people an update speaks of."""
    named = getattr(update, "peer", None) or getattr(getattr(update, "message", None), "peer_id", None)
    return [named.user_id] if named else []


def messages_of(world: "World", viewer: Person, letters: list[Letter]) -> tuple[list[Any], list[t.User]]:
    """Return letters as messages, and the people they speak of."""
    shown = [message(world, letter, viewer.id) for letter in letters]
    return shown, users(world, viewer, [letter.peer_of(viewer.id) for letter in letters])


def difference(world: "World", viewer: Person, events: list[Event]) -> tuple[list[Any], list[Any], list[t.User]]:
    """Return the new messages, the other updates and the people of these events; deleted messages are left out."""
    letters = [one.what for one in events if isinstance(one.what, Letter) and viewer.id not in one.what.gone]
    others = [one.what for one in events if not isinstance(one.what, Letter)]
    shown, _ = messages_of(world, viewer, letters)
    about = [letter.peer_of(viewer.id) for letter in letters] + [id_ for one in others for id_ in people_of(one)]
    return shown, others, users(world, viewer, about)
