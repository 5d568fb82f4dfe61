"""All there is: people, keys, messages, files. What changes it is recorded, so that it can come back."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from telethon.tl import types as t

from practice.telegram import views
from practice.telegram.arrivals import Arrivals
from practice.telegram.boxes import Letter
from practice.telegram.faults import Faults
from practice.telegram.files import StoredFile
from practice.telegram.journal import Journal, recorded
from practice.telegram.people import Person
from practice.telegram.population import Population
from practice.telegram.settings import Switches

if TYPE_CHECKING:
    from practice.telegram.connection import Connection


class World(Population):
    """People and what they wrote. Methods marked `recorded` change it; all else only looks, or tells clients."""

    def __init__(self, journal: Journal | None = None) -> None:
        super().__init__(journal)
        self.files: dict[int, StoredFile] = {}
        self.file_reference = 1
        self.arrivals = Arrivals()
        self.switches = Switches()
        self.faults = Faults()
        self.wake: Callable[[Letter], None] = lambda _letter: None

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
            if side.id not in letter.gone
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
            # rendered only where somebody listens: most often the sender's only client is the one that sent
            if side.listeners - {but}:
                # the newest event in this box is this letter's, as nothing runs between deliver and announce
                update = t.UpdateNewMessage(views.message(self, letter, side.id), side.box.pts, 1)
                self.push(side, views.updates(self, side, [update], [letter.peer_of(side.id)]), but)

    def tell(self, changes: "Changes", but: "Connection | None" = None) -> None:
        """Push what an edit, a deletion or a reading changed."""
        for person, update in changes:
            if person.listeners - {but}:
                about = views.people_of(update)
                self.push(person, views.updates(self, person, [update], about), but)

    def push(self, person: Person, updates: Any, but: "Connection | None" = None) -> None:
        """Send updates to a person's clients, except one."""
        packed = bytes(updates)
        for connection in person.listeners - {but}:
            connection.send(packed)

    def letter_from(self, sender: Person, receiver: Person, text: str, **options: Any) -> Letter:
        """Let a person write by itself, and push it."""
        letter = self.deliver(sender.id, receiver.id, text, int(time.time()), **options)
        self.announce(letter)
        return letter


#: Who is told which update.
Changes = list[tuple[Person, Any]]
