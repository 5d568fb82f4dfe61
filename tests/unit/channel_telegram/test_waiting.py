"""What must wait a moment before it is announced."""

from datetime import UTC, datetime

import pytest
from channel_telegram import waiting as module
from channel_telegram.model import Message, Person, Position
from channel_telegram.sent import SentIds
from channel_telegram.settings import Settings
from channel_telegram.waiting import Waiting

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ANI = Person(8, 80, "Ani")
AT = Position(1, 0, 1, 1)


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        at = 100.0

    monkeypatch.setattr(module, "boottime", lambda: Clock.at)
    return Clock


@pytest.fixture
def sent():
    return SentIds()


@pytest.fixture
def waiting(clock, sent):
    return Waiting(Settings(own_hold_seconds=60, read_pause_seconds=1), sent)


def mine(number):
    return Message(number, ANI.id, out=True, at=NOW)


def foreign(waiting):
    return [message.id for message, _ in waiting.foreign()]


def test_what_the_lane_recognises_is_forgotten_and_the_rest_is_foreign_after_its_time(waiting, sent, clock):
    for number in (1, 2, 2):
        waiting.hold(mine(number), ANI, AT, pushed=False)
    sent.add(1)
    waiting.settle()
    assert foreign(waiting) == []
    clock.at += 61
    assert foreign(waiting) == [2]
    waiting.released(mine(2))
    assert waiting.due is None


def test_what_is_seen_live_waits_only_while_a_send_is_out(waiting, sent, clock):
    with sent.sending():
        waiting.hold(mine(1), ANI, AT, pushed=True)
        waiting.hold(mine(2), ANI, AT, pushed=True)
        assert foreign(waiting) == []
        sent.add(1)
    assert foreign(waiting) == [2]


def test_receipts_of_a_chat_are_joined_and_come_a_little_later(waiting, clock):
    assert waiting.due is None
    for number in (5, 7, 6):
        waiting.read(ANI.id, number, NOW, AT)
    assert waiting.reads() == {}
    assert waiting.due == 101.0
    clock.at += 1
    assert waiting.reads() == {ANI.id: (7, NOW)}
    waiting.read(ANI.id, 9, NOW, AT)
    waiting.announced(ANI.id, 7)
    assert waiting.reads() == {ANI.id: (9, NOW)}, "what came meanwhile is not lost"
    waiting.announced(ANI.id, 9)
    assert waiting.due is None
