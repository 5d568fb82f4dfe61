"""The cursor follows up to what still waits to be announced, and never stands still while one thing or another waits."""

import pytest
from channel_telegram import inbound as module
from channel_telegram.inbound import Inbound
from channel_telegram.model import Batch, Difference, Person, Position, ReadUpTo
from channel_telegram.peers import Peers
from channel_telegram.sent import SentIds
from channel_telegram.settings import Settings

from tests.unit.channel_telegram.test_inbound import ANI, ME, Host, Pushes, new

BUDI = Person(9, 90, "Budi", "+628112")


class Remembering(Host):
    """It writes down each cursor."""

    def __init__(self) -> None:
        super().__init__()
        self.saved = []

    async def save_cursor(self, positions):
        await super().save_cursor(positions)
        self.saved.append(int(positions["pts"]))


@pytest.fixture
def host(monkeypatch):
    monkeypatch.setattr(module, "_SAVE_SECONDS", 0.0)
    return Remembering()


async def begun(host, *, hold=60.0, pause=60.0):
    settings = Settings(own_hold_seconds=hold, read_pause_seconds=pause)
    inbound = Inbound(host, settings, Peers(host, "acc", 100), SentIds())
    await inbound.begin(None, ME)
    return inbound


def read(pts, up_to, person=ANI):
    return Batch((ReadUpTo(pts, 1, person.id, up_to),))


async def test_it_comes_up_to_the_first_receipt_that_waits(host):
    inbound = await begun(host)
    await inbound.run(Pushes([Batch((new(1, 11),), (ANI,)), read(12, 5), read(13, 9, BUDI), read(14, 6)]))
    assert host.saved == [11], "both of Ani's are one, and what it covers begins at 11"
    inbound._waiting._reads[ANI.id].due = 0.0
    await inbound.run(Pushes([Batch()]))
    assert host.saved == [11, 12], "another receipt waits, as one always does in a campaign"
    inbound._waiting._reads[BUDI.id].due = 0.0
    await inbound.run(Pushes([Batch()]))
    assert host.saved == [11, 12, 14]


async def test_it_comes_up_to_the_first_message_of_ours_that_waits(host):
    inbound = await begun(host)
    inbound._sent._asking = 1  # a send waits for its answer
    await inbound.run(Pushes([Batch((new(1, 11),), (ANI,)), Batch((new(2, 12, out=True), new(3, 13)), (ANI,))]))
    assert host.saved == [11]
    await inbound.run(Pushes([Batch((new(4, 14, out=True),), (ANI,))]))
    inbound._sent.add(2)
    await inbound.run(Pushes([Batch()]))
    assert host.saved == [11, 13], "the other one waits"
    inbound._sent.add(4)
    await inbound.run(Pushes([Batch()]))
    assert host.saved == [11, 13, 14]


async def test_a_slice_with_something_that_waits_is_read_again_after_a_crash(host, monkeypatch):
    answers = [
        Difference((new(1, None),), (ANI,), Position(11, 0, 1, 3), final=False),
        Difference((new(2, None, out=True),), (ANI,), Position(12, 0, 1, 3), final=False),
        Difference((new(3, None),), (ANI,), Position(13, 0, 1, 3), final=True),
    ]

    async def difference(_connection, _since):
        return answers.pop(0)

    monkeypatch.setattr(module.messages, "difference", difference)
    inbound = await begun(host)
    await inbound.catch_up(None)
    assert host.saved == [11]
    inbound._sent.add(2)
    await inbound.run(Pushes([Batch()]))
    assert host.saved == [11, 13]
