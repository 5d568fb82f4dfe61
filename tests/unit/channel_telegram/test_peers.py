"""Whom an account knows."""

import pytest
from channel_telegram.model import Peer, Person
from channel_telegram.peers import Peers, normal
from servicekit.errors import Permanent

BUDI = Person(7, 70, "Budi", "+628111", "Budi_Toko")


class Memo:
    def __init__(self) -> None:
        self.facts, self.writes = {}, 0

    async def remember(self, key, value):
        self.facts[key] = value
        self.writes += 1

    async def recall(self, key):
        return self.facts.get(key)


class Directory:
    def __init__(self, *people) -> None:
        self.people, self.asked = people, []

    async def by_phone(self, phone, name):
        self.asked.append((phone, name))
        return next((one for one in self.people if one.phone == phone), None)

    async def by_handle(self, handle):
        self.asked.append(handle)
        return next((one for one in self.people if one.username.lower() == handle), None)


@pytest.fixture
def memo():
    return Memo()


@pytest.fixture
def directory():
    return Directory(BUDI)


def peers(memo, kept=100):
    return Peers(memo, "acc", kept)


async def test_the_platform_is_asked_once_also_across_restarts(memo, directory):
    for _ in range(2):
        for known in (peers(memo), peers(memo)):
            assert await known.resolve("+628111", "Budi", directory) == Peer(7, 70)
            assert await known.resolve("+628111", "Budi", directory) == Peer(7, 70)
    assert directory.asked == [("+628111", "Budi")]
    assert memo.writes == 2


async def test_after_a_restart_each_person_is_recalled_once_and_not_for_every_message(memo, directory):
    await peers(memo).resolve("+628111", "Budi", directory)
    fresh, recalled = peers(memo), []
    recall = memo.recall

    async def counting(key):
        recalled.append(key)
        return await recall(key)

    memo.recall = counting
    await fresh.resolve("+628111", "Budi", directory)
    once = len(recalled)
    assert once > 0
    await fresh.resolve("+628111", "Budi", directory)
    assert len(recalled) == once


async def test_the_conversation_is_named_as_we_last_wrote(memo, directory):
    known = peers(memo)
    stranger = Person(8, 80, "Ani")
    assert await known.conversation(stranger) == "#8"
    assert await known.conversation(BUDI) == "+628111"
    assert await known.conversation(Person(9, 90, username="Siti_1")) == "siti_1"
    await known.resolve("@Budi_Toko", "", directory)
    assert await known.conversation(BUDI) == "budi_toko"
    assert await peers(memo).conversation(BUDI) == "budi_toko"
    await known.resolve("+628111", "", directory)
    assert await peers(memo).conversation(Person(7, 70)) == "+628111"


async def test_who_wrote_to_us_can_be_answered_by_number_alone(memo, directory):
    await peers(memo).met(Person(8, 80, "Ani"))
    later = peers(memo)
    assert await later.resolve("#8", "", directory) == Peer(8, 80)
    assert directory.asked == []
    with pytest.raises(Permanent, match="unknown_peer"):
        await later.resolve("#9", "", directory)


async def test_met_again_nothing_is_written(memo):
    known = peers(memo)
    for _ in range(3):
        await known.met(BUDI)
    assert memo.writes == 2
    await known.met(Person(7, 71, "Budi"))
    assert (await peers(memo).known(7)).peer == Peer(7, 71), "a new access hash counts"


@pytest.mark.parametrize(
    ("address", "reason"),
    [("+629999", "not_on_telegram"), ("@nobody_1", "not_on_telegram"), ("a b", "invalid_address")],
)
async def test_who_cannot_be_found_is_said(memo, directory, address, reason):
    with pytest.raises(Permanent, match=reason):
        await peers(memo).resolve(address, "", directory)


async def test_forgotten_the_platform_is_asked_anew(memo, directory):
    known = peers(memo)
    await known.resolve("+628111", "", directory)
    await known.forget("+628111")
    await known.resolve("+628111", "", directory)
    assert len(directory.asked) == 2
    await known.forget("+628111")
    await peers(memo).resolve("+628111", "", directory)
    assert len(directory.asked) == 3


async def test_memory_is_bounded(memo):
    known = peers(memo, kept=10)
    for n in range(100):
        await known.met(Person(n + 1, n, phone=f"+62{n:08}"))
    assert len(known._by_id) == len(known._ids) == 10
    assert (await known.known(1)).peer == Peer(1, 0), "from the memo"


def test_addresses_have_one_form():
    assert [normal(one) for one in (" @Budi_Toko", "Budi_Toko", "+6281", "#12")] == [
        "budi_toko", "budi_toko", "+6281", "#12",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("person", "address"),
    [(Person(8, 80, "Ani", "+628222", "Ani_1"), "+628222"), (Person(8, 80, "Ani", "", "Ani_1"), "ani_1")],
)
async def test_who_was_described_once_keeps_their_name_when_they_no_longer_are(memo, person, address):
    """Short pushes name people by their number alone; the conversation must not become another one."""
    known = peers(memo)
    await known.met(person)
    assert await known.conversation(Person(8, 80, "Ani")) == address
    assert await peers(memo).conversation(Person(8)) == address
    writes = memo.writes
    await known.met(Person(8, 80, "Ani"))
    assert memo.writes == writes


async def test_who_shows_more_later_is_named_by_it(memo):
    known = peers(memo)
    await known.met(Person(8, 80, "Ani"))
    await known.met(Person(8, 80, "Ani", username="Ani_1"))
    assert await peers(memo).conversation(Person(8, 80)) == "ani_1"
    assert await peers(memo).resolve("ani_1", "", Directory()) == Peer(8, 80)
