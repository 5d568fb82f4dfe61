"""All there is: people, keys, messages, files. What changes it is recorded, so that it can come back."""

import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from telethon.tl import types as t

from practice.telegram import views
from practice.telegram.arrivals import Arrivals
from practice.telegram.boxes import Letter
from practice.telegram.codes import Logins
from practice.telegram.faults import Faults
from practice.telegram.journal import Journal, recorded
from practice.telegram.people import MAIN_DC, AuthKey, Behaviour, NumberRule, Person, digits
from practice.telegram.secrets import key_id_of

if TYPE_CHECKING:
    from practice.telegram.connection import Connection

FIRST_PERSON = 777_001


@dataclass(slots=True)
class Switches:
    """Manners that a test may change while the server runs."""

    #: Off: a repeat of a random_id is delivered again, as it must never be; proves that the counts see copies.
    deduplicate: bool = True
    #: On: a second connection with the same key ends the login with AUTH_KEY_DUPLICATED.
    one_connection_per_key: bool = False
    #: The DC where uploaded files are kept from now on; 0: the uploader's own.
    files_dc: int = 0
    #: On: a number without an account answers signIn with PHONE_NUMBER_UNOCCUPIED, as old layers do.
    unoccupied_is_error: bool = False


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file as uploaded; `kind` is photo or document."""

    id: int
    kind: str
    data: bytes
    mime: str
    attributes: list[Any]
    dc: int
    date: int

    @property
    def sha256(self) -> str:
        """The hex digest of its bytes."""
        return sha256(self.data).hexdigest()


class World:
    """The state of the practice Telegram. Methods marked `recorded` change it; all else only looks."""

    def __init__(self, journal: Journal | None = None) -> None:
        self.journal = journal or Journal()
        self.people: dict[int, Person] = {}
        self.by_phone: dict[str, Person] = {}
        self.by_username: dict[str, Person] = {}
        self.rules: list[NumberRule] = []
        self.keys: dict[int, AuthKey] = {}
        self.files: dict[int, StoredFile] = {}
        self.file_reference = 1
        self.arrivals = Arrivals()
        self.switches = Switches()
        self.faults = Faults()
        self.logins = Logins()
        self.secret = b""
        self.wake: Callable[[Letter], None] = lambda _letter: None

    # -- who there is

    @recorded
    def set_secret(self, secret: bytes) -> None:
        """Set what access hashes are made from."""
        self.secret = secret

    @recorded
    def put_person(self, phone: str, fields: dict[str, Any]) -> Person:
        """Create a person or change these fields of it."""
        phone = digits(phone)
        person = self.by_phone.get(phone)
        if person is None:
            person = Person(FIRST_PERSON + len(self.people), phone, name=f"Person {phone[-4:]}")
            self.people[person.id] = self.by_phone[phone] = person
        self.by_username.pop(person.username.lower(), None)
        for name, value in fields.items():
            setattr(person, name, value)
        if person.username:
            self.by_username[person.username.lower()] = person
        return person

    @recorded
    def set_rules(self, rules: list[NumberRule]) -> None:
        """Replace the rules on numbers."""
        self.rules = rules

    def rule_for(self, phone: str) -> NumberRule | None:
        """Return the first rule that covers a number."""
        return next((rule for rule in self.rules if rule.covers(phone)), None)

    def find(self, phone: str) -> Person | None:
        """Return who has a number; a rule may bring somebody into being."""
        phone = digits(phone)
        person = self.by_phone.get(phone)
        if person is None:
            rule = self.rule_for(phone)
            if rule is None or not rule.exists or not phone:
                return None
            person = self.put_person(phone, {})
        return None if self.behaviour(person) is Behaviour.ABSENT else person

    def behaviour(self, person: Person) -> Behaviour | None:
        """Return what a person does by itself: its own way, else its rule's."""
        if person.acts is not None or not self.rules:
            return person.acts
        rule = self.rule_for(person.phone)
        return rule.acts if rule else None

    def access_hash(self, viewer: Person, person: Person) -> int:
        """Return the hash under which a viewer may name a person; it differs from viewer to viewer."""
        digest = hmac.digest(self.secret, b"%d %d" % (viewer.id, person.id), "sha256")
        return int.from_bytes(digest[:8], "little", signed=True)

    @recorded
    def add_contact(self, owner: int, person: int, known: bool) -> None:
        """Put somebody into a contact list, or take it out."""
        contacts = self.people[owner].contacts
        (contacts.add if known else contacts.discard)(person)

    @recorded
    def block(self, owner: int, person: int, blocked: bool) -> None:
        """Let a person block another, or take it back."""
        known = self.people[owner].blocked
        (known.add if blocked else known.discard)(person)

    # -- keys and logins

    @recorded
    def add_key(self, key: bytes, dc: int = MAIN_DC) -> AuthKey:
        """Remember an auth key made at a DC."""
        made = AuthKey(key_id_of(key), key, dc)
        self.keys[made.id] = made
        return made

    @recorded
    def sign_in(self, key: int, person: int, imported: bool = False) -> None:
        """Bind a key to a person."""
        held = self.keys[key]
        held.person, held.imported, held.ended = self.people[person], imported, ""
        held.person.keys.add(key)

    @recorded
    def sign_out(self, key: int, ended: str = "", forget: bool = False) -> None:
        """End a login; its calls answer `ended` from now on, or the key is no longer known at all."""
        held = self.keys[key]
        if held.person is not None:
            held.person.keys.discard(key)
        held.person, held.ended = None, ended
        if forget:
            del self.keys[key]

    # -- messages

    @recorded
    def deliver(
        self,
        sender: int,
        receiver: int,
        text: str,
        date: int,
        *,
        random_id: int = 0,
        media: int = 0,
        reply_to: int = 0,
        entities: list[Any] | None = None,
    ) -> Letter:
        """Put a message into both boxes; `reply_to` is a number in the sender's."""
        writer, reader = self.people[sender], self.people[receiver]
        letter = Letter(sender, receiver, text, date, random_id, entities or None, media)
        letter.reply_to = writer.box.letters.get(reply_to)
        letter.out_id = letter.in_id = writer.box.add(letter, receiver)
        if reader is not writer:
            letter.in_id = reader.box.add(letter, sender)
        if random_id:
            writer.random_ids.add(random_id)
            self.arrivals.add(letter, reader.phone)
        return letter

    @recorded
    def note_repeat(self, random_id: int) -> None:
        """Count a repeat that was recognised and refused."""
        self.arrivals.refused[random_id] += 1

    @recorded
    def edit(self, owner: int, number: int, text: str, entities: list[Any] | None, date: int) -> "Changes":
        """Change a message in both boxes."""
        letter = self.people[owner].box.letters[number]
        letter.text, letter.entities, letter.edited = text, entities or None, date
        return [
            (side, side.box.note(t.UpdateEditMessage(views.message(self, letter, side.id), 0, 0)))
            for side in self._sides(letter)
        ]

    @recorded
    def delete(self, owner: int, numbers: list[int], revoke: bool) -> "Changes":
        """Take messages out of a box, and with `revoke` out of the other side's."""
        gone: dict[Person, list[int]] = {}
        letters = [self.people[owner].box.letters.get(one) for one in numbers]
        for letter, side in ((one, side) for one in letters if one for side in self._sides(one)):
            number = letter.id_for(side.id)
            if number in side.box.letters and (revoke or side.id == owner):
                del side.box.letters[number]
                letter.gone.add(side.id)
                gone.setdefault(side, []).append(number)
        return [(side, side.box.note(t.UpdateDeleteMessages(ids, 0, 0), len(ids))) for side, ids in gone.items()]

    @recorded
    def read(self, owner: int, peer: int, up_to: int) -> "Changes":
        """Let a person read a chat up to a number in its own box (0: all); the writer learns of it."""
        reader, writer = self.people[owner], self.people[peer]
        letter = reader.box.last_incoming(owner, peer, up_to)
        if letter is None or letter.in_id <= reader.box.chats[peer].read_inbox:
            return []
        reader.box.chats[peer].read_inbox = letter.in_id
        writer.box.chats[owner].read_outbox = letter.out_id
        return [
            (reader, reader.box.note(t.UpdateReadHistoryInbox(t.PeerUser(peer), letter.in_id, 0, 0, 0))),
            (writer, writer.box.note(t.UpdateReadHistoryOutbox(t.PeerUser(owner), letter.out_id, 0, 0))),
        ]

    def _sides(self, letter: Letter) -> list[Person]:
        return [self.people[one] for one in dict.fromkeys((letter.sender, letter.receiver))]

    @recorded
    def add_file(self, file: StoredFile) -> StoredFile:
        """Keep a file."""
        self.files[file.id] = file
        return file

    # -- telling those who listen

    def announce(self, letter: Letter, but: "Connection | None" = None) -> None:
        """Push a new message to both sides' clients, except the one that sent it."""
        for side in self._sides(letter):
            if side.listeners:
                # one event per letter: the newest in this box, as nothing runs between deliver and announce
                update = t.UpdateNewMessage(views.message(self, letter, side.id), side.box.pts, 1)
                self.push(side, views.updates(self, side, [update], [letter.peer_of(side.id)]), but)

    def tell(self, changes: "Changes", but: "Connection | None" = None) -> None:
        """Push what an edit, a deletion or a reading changed."""
        for person, update in changes:
            if person.listeners:
                about = views.people_of(update)
                self.push(person, views.updates(self, person, [update], about), but)

    def push(self, person: Person, updates: Any, but: "Connection | None" = None) -> None:
        """Send updates to a person's clients, except one."""
        for connection in person.listeners:
            if connection is not but:
                connection.send(bytes(updates))

    def letter_from(self, sender: Person, receiver: Person, text: str, **options: Any) -> Letter:
        """Let a person write by itself, and push it."""
        letter = self.deliver(sender.id, receiver.id, text, int(time.time()), **options)
        self.announce(letter)
        return letter


#: Who is told which update.
Changes = list[tuple[Person, Any]]
