"""The order of updates, and what is never shown: without a network, against pushes made up here."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from channel_telegram import inbound as module
from channel_telegram.inbound import Inbound
from channel_telegram.model import Batch, Difference, EditedMessage, Message, NewMessage, Person, Position, Update
from channel_telegram.peers import Peers
from channel_telegram.sent import SentIds
from channel_telegram.settings import Settings
from contracts.channels import Channel
from contracts.inbox import Received
from contracts.state import DesiredAccount
from servicekit.errors import Unavailable

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ANI = Person(8, 80, "Ani", "+628111")
ME = Person(1, 10, "Toko", "+62811", is_self=True)
SERVICE = Person(777000, 7, "Telegram")


@dataclass
class Host:
    events: list = field(default_factory=list)
    positions: dict = field(default_factory=dict)
    facts: dict = field(default_factory=dict)
    lines: list = field(default_factory=list)
    dead: list = field(default_factory=list)
    account = DesiredAccount(account_id="acc", channel=Channel.TELEGRAM, version=1, status="active")

    async def publish(self, event, event_id):  # noqa: ARG002
        self.events.append(event)

    async def cursor(self):
        return {"pts": "10", "qts": "0", "date": "1", "seq": "3", "user": "1"}

    async def save_cursor(self, positions):
        self.positions = positions

    async def remember(self, key, value):
        self.facts[key] = value

    async def recall(self, key):
        return self.facts.get(key)

    async def dead_letter(self, raw, error, event_id):
        self.dead.append((raw, error, event_id))

    async def log(self, kind, text):  # noqa: ARG002
        self.lines.append(text)


@dataclass
class Pushes:
    """A connection that gives what it is given."""

    batches: list
    pending = False

    async def next(self):
        return self.batches.pop(0) if self.batches else None


def new(number, pts, person=ANI, *, out=False, count=1):
    return NewMessage(pts, count, Message(number, person.id, out, NOW, f"pesan {number}"))


@pytest.fixture
def host():
    return Host()


@pytest.fixture
def missed(monkeypatch):
    """What getDifference answers; filled by the test. Asked from which positions, it says."""
    answers, asked = [], []

    async def difference(_connection, since):
        asked.append(since.pts)
        return answers.pop(0) if answers else Difference((), (), since, final=True)

    monkeypatch.setattr(module.messages, "difference", difference)
    return answers, asked


async def run(host, *batches):
    settings = Settings(own_hold_seconds=60, read_pause_seconds=0)
    inbound = Inbound(host, settings, Peers(host, "acc", 100), SentIds())
    await inbound.begin(None, ME)
    await inbound.catch_up(None)
    await inbound.run(Pushes(list(batches)))
    return inbound


def texts(host):
    return [one.text for one in host.events if isinstance(one, Received)]


async def test_updates_are_taken_in_their_order_and_once(host, missed):
    _, asked = missed
    await run(
        host,
        Batch((new(2, 12), new(1, 11)), (ANI,)),
        Batch((new(2, 12),), (ANI,)),
        Batch((new(3, 13), Update(15, 2)), (ANI,)),
        Batch((new(4, 16),), (ANI,)),
    )
    assert texts(host) == ["pesan 1", "pesan 2", "pesan 3", "pesan 4"]
    assert asked == [10], "only at the beginning"


async def test_a_gap_is_filled_from_where_it_begins(host, missed):
    answers, asked = missed
    answers += [
        Difference((), (), Position(10, 0, 1, 3), final=True),
        Difference((new(2, None), new(3, None)), (ANI,), Position(13, 0, 1, 3), final=True),
    ]
    inbound = await run(host, Batch((new(1, 11),), (ANI,)), Batch((new(3, 13),), (ANI,)), Batch((new(4, 14),), (ANI,)))
    assert texts(host) == [f"pesan {n}" for n in (1, 2, 3, 4)]
    assert asked == [10, 11]
    assert inbound._position.pts == 14


async def test_a_stranger_without_a_description_is_asked_about(host, missed):
    answers, asked = missed
    answers += [
        Difference((), (), Position(10, 0, 1, 3), final=True),
        Difference((new(1, None),), (ANI,), Position(11, 0, 1, 3), final=True),
    ]
    await run(host, Batch((new(1, 11),)), Batch((new(2, 12),)))
    assert texts(host) == ["pesan 1", "pesan 2"], "the second needs no description: they are known"
    assert asked == [10, 10]


@pytest.mark.parametrize("batch", [Batch(too_long=True), Batch((), (), 5, 9, 9)])
async def test_told_to_ask_it_asks(host, missed, batch):
    _, asked = missed
    await run(host, batch)
    assert asked == [10, 10]


async def test_a_numbered_push_seen_before_is_passed_over(host, missed):
    await run(host, Batch((new(1, 11),), (ANI,), 5, 3, 3), Batch((new(2, 11),), (ANI,), 5, 4, 4))
    assert texts(host) == ["pesan 2"]


async def test_telegrams_own_chat_is_never_shown_nor_what_we_note_to_ourselves(host, missed):
    """Login codes come from there."""
    answers, _ = missed
    code = NewMessage(None, 0, Message(5, SERVICE.id, out=False, at=NOW, text="Login code: 12345"))
    answers.append(Difference((code,), (SERVICE,), Position(11, 0, 1, 3), final=True))
    note = NewMessage(13, 1, Message(7, ME.id, out=True, at=NOW, text="catatan"))
    changed = EditedMessage(14, 1, Message(5, SERVICE.id, out=False, at=NOW, text="Login code: 12345", edited_at=NOW))
    inbound = await run(host, Batch((new(6, 12, SERVICE), note, changed), (SERVICE, ME)))
    assert host.events == []
    assert host.facts == {}
    assert inbound._position.pts == 14, "and they hold nobody up"


async def test_groups_and_the_platforms_notes_are_passed_over(host, missed):
    inbound = await run(host, Batch((NewMessage(11, 1, None), new(1, 12)), (ANI,)))
    assert texts(host) == ["pesan 1"]
    assert inbound._position.pts == 12


async def test_what_we_sent_is_no_news_and_what_the_phone_sent_is(host, missed):
    await run(host, Batch((new(1, 11, out=True),), (ANI,), ours=True), Batch((new(2, 12, out=True),), (ANI,)))
    assert [(one.text, one.own) for one in host.events] == [("pesan 2", True)]


async def test_missed_messages_of_ours_keep_the_cursor_where_it_is(host, missed):
    answers, _ = missed
    answers.append(Difference((new(1, None, out=True),), (ANI,), Position(11, 0, 1, 3), final=True))
    await run(host, Batch((new(2, 12),), (ANI,)))
    assert texts(host) == ["pesan 2"]
    assert host.positions == {}


async def test_an_edit_that_changes_nothing_for_the_reader_is_no_edit(host, missed):
    """Reactions and previews of links come as edits, hidden."""
    await run(host, Batch((EditedMessage(11, 1, Message(1, ANI.id, out=False, at=NOW, text="x")),), (ANI,)))
    assert host.events == []


async def test_what_cannot_be_made_into_an_event_is_a_dead_letter_and_holds_nobody_up(host, missed):
    poison = NewMessage(11, 1, Message(1, ANI.id, out=False, at="no moment", text="rahasia"))
    inbound = await run(host, Batch((poison,), (ANI,)), Batch((new(2, 12),), (ANI,)))
    assert texts(host) == ["pesan 2"]
    [(raw, error, _)] = host.dead
    assert b"rahasia" not in raw
    assert error == "ValidationError"
    assert inbound._position.pts == 12


async def test_an_absent_bus_is_no_poison(host, missed):
    async def away(*_):
        raise Unavailable("NATS is away")

    host.remember = away
    with pytest.raises(Unavailable):
        await run(host, Batch((new(1, 11),), (ANI,)))
    assert host.dead == []


async def test_a_short_push_belongs_to_the_conversation_of_the_long_one_before(host, missed):
    unseen = Person(9, None, "Siti", username="Siti_1")  # described by halves
    answers, _ = missed
    answers.append(Difference((new(5, None, unseen),), (unseen,), Position(11, 0, 1, 3), final=True))
    await run(host, Batch((new(1, 12),), (ANI,)), Batch((new(2, 13),)))
    assert [(one.text, one.conversation) for one in host.events] == [
        ("pesan 5", "siti_1"), ("pesan 1", "+628111"), ("pesan 2", "+628111"),
    ]  # fmt: skip


async def test_a_bot_is_known_as_one_also_by_its_number_alone(host, missed):
    bot = Person(9, 90, "Bot", username="toko_bot", is_bot=True)
    await run(host, Batch((new(1, 11, bot),), (bot,)), Batch((new(2, 12, bot),)))
    assert [one.auto_reply for one in host.events] == [True, True]
    again = Host(facts=host.facts)
    await run(again, Batch((new(3, 11, bot),)))
    assert [one.auto_reply for one in again.events] == [True]
