"""An account's updates in their order: what was missed first, then what is pushed; the cursor follows behind.

Telegram numbers what happens to an account (`pts`, https://core.telegram.org/api/updates). An update is handled when it
follows what was handled last; after a gap, a break or a restart the difference is asked for. The cursor never passes what
is not yet announced.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace

from channelkit.protocol import Host
from servicekit.clock import boottime, utcnow
from servicekit.errors import KurirError, Permanent, TooLarge
from servicekit.failpoints import failpoint
from servicekit.logs import get_logger

from channel_telegram.client import messages
from channel_telegram.client.connection import Connection
from channel_telegram.client.errors import UNREADABLE, TelegramError
from channel_telegram.events import Announcer
from channel_telegram.model import (
    Batch,
    DeletedMessages,
    Difference,
    EditedMessage,
    Message,
    NewMessage,
    Person,
    Position,
    ReadUpTo,
    Unreadable,
    Update,
)
from channel_telegram.peers import Peers
from channel_telegram.sent import SentIds
from channel_telegram.settings import Settings
from channel_telegram.waiting import Waiting

_log = get_logger("channel_telegram.inbound")
_SAVE_SECONDS = 1.0
SERVICE = frozenset({777000, 42777})
"""Telegram's own chats: they hold login codes, which nobody but the owner may see."""


class Inbound:
    """Reads one account's updates; `catch_up`, then `run`, once per connection."""

    def __init__(self, host: Host, settings: Settings, peers: Peers, sent: SentIds) -> None:
        self._host, self._peers, self._sent = host, peers, sent
        self._announce = Announcer(host, settings, peers)
        self._waiting = Waiting(settings, sent)
        self._me = 0
        self._position: Position | None = None
        self._saved: Position | None = None
        self._dirty = False
        self._uncovered = False
        self._saved_at = 0.0

    async def begin(self, connection: Connection, me: Person) -> None:
        """Go on where the last session was; at a first login, from now on. Raises Unavailable and what the client does."""
        self._me = me.id
        self._announce.signed_in(me)
        kept = await self._host.cursor()
        if kept.get("user") == str(me.id) and "pts" in kept:
            self._position = self._saved = Position(*(int(kept[name]) for name in ("pts", "qts", "date", "seq")))
        else:
            self._position = await messages.position(connection)
            self._dirty = True
            await self._save()

    async def run(self, connection: Connection) -> None:
        """Announce what comes, until the connection ends. Raises what `events` raises."""
        while True:
            try:
                async with asyncio.timeout(self._pause()):
                    batch = await connection.next()
            except TimeoutError:
                batch = Batch()
            if batch is None:
                return
            if any(isinstance(update, NewMessage) for update in batch.updates) and not batch.ours:
                failpoint("inbound.after_fetch")
            await self._apply(connection, batch)
            await self._tidy(connection)

    def _pause(self) -> float | None:
        """Return for how many seconds nothing is due; None: for ever."""
        due = self._waiting.due
        if self._dirty and due is None:
            return max(0.0, self._saved_at + _SAVE_SECONDS - boottime())
        return None if due is None else max(0.0, due - boottime())

    @property
    def _at(self) -> Position:
        assert self._position is not None
        return self._position

    async def _apply(self, connection: Connection, batch: Batch) -> None:
        at = self._at
        if batch.too_long or (batch.seq_start and batch.seq_start > at.seq + 1):
            await self.catch_up(connection)
            return
        if batch.seq_start and batch.seq_start <= at.seq:
            return
        people = {one.id: one for one in batch.people}
        for update in sorted(batch.updates, key=lambda one: one.follows):
            if update.pts is not None and update.follows < self._at.pts:
                continue  # handled already
            in_order = update.pts is None or update.follows == self._at.pts
            if not in_order or not await self._take(connection, update, people, ours=batch.ours):
                await self.catch_up(connection)
                return
            if update.pts is not None:
                self._move(replace(self._at, pts=update.pts))
        if batch.seq:
            self._move(replace(self._at, seq=batch.seq, date=batch.date or at.date))

    async def catch_up(self, connection: Connection) -> None:
        """Ask for what was missed and announce it, slice by slice. Raises what `events` raises."""
        while True:
            found = await self._difference(connection)
            people = {one.id: one for one in found.people}
            for update in found.updates:
                await self._take(connection, update, people, missed=True)
            if found.lost:
                await self._host.log("warning", "Telegram no longer has all that was missed: look into the app")
            self._move(found.position)
            if found.final:
                return
            await self._tidy(connection, now=True)

    async def _difference(self, connection: Connection) -> Difference:
        """Return what was missed; where that can never be had, nothing, and where the account is now."""
        try:
            return await messages.difference(connection, self._at)
        except TelegramError as error:
            if error.name != UNREADABLE and not (error.name.startswith("PERSISTENT_TIMESTAMP_") and error.code == 400):
                raise
            now = await messages.position(connection)
            await self._announce.unreadable("difference", self._at.pts, error.words)
            return Difference((), (), now, final=True, lost=True)

    def _move(self, position: Position) -> None:
        if position != self._position:
            self._position, self._dirty = position, True

    async def _take(
        self,
        connection: Connection,
        update: Update,
        people: dict[int, Person],
        *,
        ours: bool = False,
        missed: bool = False,
    ) -> bool:
        held = update.message.id if isinstance(update, NewMessage) and update.message else 0
        work = self._handle(connection, update, people, ours=ours, missed=missed)
        return await self._or_kept(work, type(update).__name__, held)

    async def _or_kept(self, work: Awaitable[bool | None], kind: str, message_id: int) -> bool:
        """Return False where *work* does; what can never be announced becomes a dead letter, and those behind go on."""
        try:
            return await work is not False
        except (Permanent, TooLarge) as error:
            why = error.reason
        except (KurirError, TelegramError, OSError):
            raise
        except Exception as error:  # its text may quote the message
            why = type(error).__name__
        _log.error("an update was not announced", kind=kind, message=message_id, error=why)
        await self._announce.unreadable(kind, message_id, why)
        return True

    async def _handle(
        self, connection: Connection, update: Update, people: dict[int, Person], *, ours: bool, missed: bool
    ) -> bool:
        """Announce one update; return False where somebody in it is a stranger, whom the difference would describe."""
        if isinstance(update, DeletedMessages):
            if update.ids:
                await self._announce.deleted(update.ids)
            return True
        if isinstance(update, ReadUpTo):
            self._waiting.read(update.peer_id, update.max_id, utcnow(), self._at)
            return True
        if isinstance(update, Unreadable):
            await self._announce.unreadable(update.kind, update.message_id, "unreadable")
            return True
        message = update.message if isinstance(update, NewMessage) else None
        return message is None or await self._message(connection, update, message, people, ours=ours, missed=missed)

    async def _message(
        self,
        connection: Connection,
        update: Update,
        message: Message,
        people: dict[int, Person],
        *,
        ours: bool,
        missed: bool,
    ) -> bool:
        if message.peer_id in SERVICE or message.peer_id == self._me:
            return True
        if ours and message.out:
            self._sent.add(message.id)
            return True
        person = await self._person(message.peer_id, people)
        if person is None:
            if not missed:
                return False
            person = people.get(message.peer_id) or Person(message.peer_id)
        await self._tell(connection, update, message, person, missed=missed)
        return True

    async def _tell(
        self, connection: Connection, update: Update, message: Message, person: Person, *, missed: bool
    ) -> None:
        if isinstance(update, EditedMessage):
            if message.edited_at is not None:
                await self._announce.edited(message, person)
        elif not message.out:
            await self._announce.received(connection, message, person, own=False)
            self._uncovered = True
            failpoint("inbound.after_publish")
        elif message.id not in self._sent:
            if missed or self._sent.busy:
                self._waiting.hold(message, person, self._at, pushed=not missed)
            else:
                await self._announce.received(connection, message, person, own=True)

    async def _person(self, user_id: int, people: dict[int, Person]) -> Person | None:
        person = people.get(user_id)
        if person is not None and person.access_hash is not None:
            await self._peers.met(person)
            return person
        known = await self._peers.known(user_id)
        if known is None:
            return None
        return person or Person(user_id, known.peer.access_hash, known.name, is_bot=known.is_bot)

    async def _tidy(self, connection: Connection, *, now: bool = False) -> None:
        """Announce what has waited long enough, then let the cursor follow."""
        for message, person in self._waiting.foreign():
            work = self._announce.received(connection, message, person, own=True)
            await self._or_kept(work, "NewMessage", message.id)
            self._waiting.released(message)
        self._waiting.settle()
        for user_id, (max_id, at) in self._waiting.reads().items():
            reader = await self._person(user_id, {})
            if reader is not None:  # else we never wrote there
                await self._announce.read(reader, max_id, at)
            self._waiting.announced(user_id, max_id)
        if self._dirty and (now or boottime() - self._saved_at >= _SAVE_SECONDS):
            await self._save()

    async def _save(self) -> None:
        at = self._waiting.since or self._at
        if at == self._saved:
            self._dirty = at != self._at
            return
        if self._uncovered:
            failpoint("inbound.before_cursor")
        values = {"pts": at.pts, "qts": at.qts, "date": at.date, "seq": at.seq, "user": self._me}
        await self._host.save_cursor({name: str(value) for name, value in values.items()})
        self._saved, self._uncovered, self._dirty = at, False, at != self._at
        self._saved_at = boottime()
