"""What cannot be read or announced is kept as a dead letter, and holds nobody up; nothing of it is ever quoted."""

import asyncio
import json
from datetime import UTC, datetime

import pytest
from channel_telegram import inbound as module
from channel_telegram.client.errors import TelegramError, translated
from channel_telegram.client.updates import read_difference, read_updates
from channel_telegram.inbound import Inbound
from channel_telegram.model import Batch, Difference, Media, Message, NewMessage, Position, Unreadable
from channel_telegram.peers import Peers
from channel_telegram.sent import SentIds
from channel_telegram.settings import Settings
from channel_telegram.vaultform import VaultForm
from pydantic import ValidationError
from servicekit.errors import Permanent, TooLarge, Unavailable
from servicekit.objects import MAX_BYTES
from telethon import errors, types

from tests.unit.channel_telegram.test_inbound import ANI, ME, Host, Pushes, new, texts

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SECRET = b"Login code: 12345"


class Choosy(Host):
    """Its bus takes everything but one text."""

    def __init__(self, error=None) -> None:
        super().__init__()
        self.error, self.dead = error or ValueError("not to be published"), []

    async def publish(self, event, event_id):
        if getattr(event, "text", "") == "pesan 2":
            raise self.error
        await super().publish(event, event_id)

    async def dead_letter(self, raw, error, event_id):
        self.dead.append((json.loads(raw), error, event_id))


def reader(host):
    return Inbound(host, Settings(own_hold_seconds=60, read_pause_seconds=0), Peers(host, "acc", 100), SentIds())


@pytest.fixture
def answers(monkeypatch):
    """What getDifference answers or raises, and getState says."""
    given = []

    async def difference(_connection, since):
        found = given.pop(0) if given else Difference((), (), since, final=True)
        if isinstance(found, Exception):
            raise found
        return found

    async def position(_connection):
        return Position(50, 0, 9, 8)

    monkeypatch.setattr(module.messages, "difference", difference)
    monkeypatch.setattr(module.messages, "position", position)
    return given


@pytest.mark.parametrize("error", [ValueError("x"), Permanent("x"), TooLarge("x")])
async def test_a_message_that_cannot_be_announced_is_kept_and_those_behind_it_go_on(answers, error):
    host = Choosy(error)
    inbound = reader(host)
    answers.append(Difference((new(1, None), new(2, None), new(3, None)), (ANI,), Position(13, 0, 1, 3), final=True))
    await inbound.begin(None, ME)
    await inbound.catch_up(None)
    await inbound.run(
        Pushes([Batch((new(4, 14),), (ANI,)), Batch((new(2, 15),), (ANI,)), Batch((new(5, 16),), (ANI,))])
    )
    assert texts(host) == ["pesan 1", "pesan 3", "pesan 4", "pesan 5"]
    assert inbound._position.pts == 16
    assert [raw["platform_id"] for raw, *_ in host.dead] == [2, 2]


async def test_nor_does_one_of_the_owners_own_that_waited_hold_anybody_up(answers):
    host = Choosy()
    settings = Settings(own_hold_seconds=0.01, read_pause_seconds=0)
    inbound = Inbound(host, settings, Peers(host, "acc", 100), SentIds())
    answers.append(Difference((new(2, None, out=True),), (ANI,), Position(13, 0, 1, 3), final=True))
    await inbound.begin(None, ME)
    await inbound.catch_up(None)
    await asyncio.sleep(0.05)
    await inbound.run(Pushes([Batch((new(4, 14),), (ANI,))]))
    assert [raw["platform_id"] for raw, *_ in host.dead] == [2]
    assert inbound._waiting.due is None


async def test_what_is_the_moments_fault_is_not_the_messages(answers):
    host = Choosy(Unavailable("NATS is away"))
    inbound = reader(host)
    answers.append(Difference((new(2, None),), (ANI,), Position(13, 0, 1, 3), final=True))
    await inbound.begin(None, ME)
    with pytest.raises(Unavailable):
        await inbound.catch_up(None)
    assert host.dead == []
    assert inbound._position.pts == 10


def test_an_update_of_another_shape_leaves_its_neighbours_readable():
    broken = types.UpdateDeleteMessages(messages=None, pts=12, pts_count=1)
    good = types.UpdateDeleteMessages(messages=[7], pts=13, pts_count=1)
    batch = read_updates(types.Updates([broken, good], [], [], NOW, 0))
    assert batch.updates[0] == Unreadable(12, 1, "UpdateDeleteMessages")
    assert batch.updates[1].ids == (7,)
    state = types.updates.State(13, 0, NOW, 0, 0)
    found = read_difference(types.updates.Difference([], [], [broken, good], [], [], state), Position(11, 0, 1, 0))
    assert [type(one).__name__ for one in found.updates] == ["Unreadable", "DeletedMessages"]
    assert found.position.pts == 13


def test_a_push_that_cannot_be_read_at_all_is_asked_for():
    assert read_updates(object()).too_long


async def test_an_unreadable_update_is_kept_and_passed(answers):
    host = Choosy()
    inbound = reader(host)
    await inbound.begin(None, ME)
    await inbound.run(Pushes([Batch((Unreadable(11, 1, "UpdateNewMessage", 6), new(7, 12)), (ANI,))]))
    assert texts(host) == ["pesan 7"]
    assert inbound._position.pts == 12
    assert [(raw["platform_id"], raw["kind"]) for raw, *_ in host.dead] == [(6, "UpdateNewMessage")]


@pytest.mark.parametrize("name", ["UNREADABLE_ANSWER", "PERSISTENT_TIMESTAMP_INVALID", "PERSISTENT_TIMESTAMP_EMPTY"])
async def test_where_the_missed_can_never_be_had_the_account_goes_on_from_now_and_says_so(answers, name):
    host = Choosy()
    inbound = reader(host)
    answers.append(TelegramError(name, 400))
    await inbound.begin(None, ME)
    await inbound.catch_up(None)
    await inbound.run(Pushes([Batch((new(1, 51),), (ANI,))]))
    assert texts(host) == ["pesan 1"]
    assert len(host.lines) == 1
    assert "look into the app" in host.lines[0]
    assert name in host.dead[0][1]


async def test_a_server_in_trouble_is_asked_again(answers):
    inbound = reader(Choosy())
    answers.append(TelegramError("PERSISTENT_TIMESTAMP_OUTDATED", 500))
    await inbound.begin(None, ME)
    with pytest.raises(TelegramError):
        await inbound.catch_up(None)


@pytest.mark.parametrize(
    "error",
    [
        errors.TypeNotFoundError(0x1234, SECRET),
        BufferError(f"No more data left to read (need 4, got 3: b'abc'); last read {SECRET!r}"),
        errors.InvalidBufferError(SECRET[:7]),
    ],
)
def test_an_answer_that_cannot_be_read_is_not_quoted(error):
    ours = translated(error)
    assert "Login" not in f"{ours} {getattr(ours, 'words', '')} {ours!r}"
    assert ours is not error


def test_a_vault_that_cannot_be_read_is_not_quoted():
    with pytest.raises(ValidationError) as raised:
        VaultForm.model_validate(
            {"phone": ["+62811"], "login_version": "x", "key": ["c2VjcmV0"], "pending": {"hint": "h"}}
        )
    assert "c2VjcmV0" not in str(raised.value)


def test_no_file_is_fetched_that_the_media_store_would_not_take():
    assert Settings().inbound_limit_bytes <= MAX_BYTES
    with pytest.raises(ValidationError):
        Settings(inbound_limit_bytes=MAX_BYTES + 1)


async def test_a_file_the_store_does_not_take_leaves_its_text(answers):
    class Small(Choosy):
        async def put_media(self, *_):
            raise TooLarge("31 MB")

    class Fetching(Pushes):
        async def download(self, *_):
            return b"x"

    media = Media("a.bin", "x/y", 1, None)
    told = NewMessage(11, 1, Message(1, ANI.id, out=False, at=NOW, text="berkas", media=media))
    host = Small()
    inbound = reader(host)
    await inbound.begin(None, ME)
    await inbound.run(Fetching([Batch((told,), (ANI,))]))
    assert [(one.text, one.stub) for one in host.events] == [("berkas", "too_large")]
