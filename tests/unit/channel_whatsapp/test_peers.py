"""Addresses and the page's ids."""

import pytest
from channel_whatsapp.peers import Peers, address_of, is_group, is_nobody, wid_of
from servicekit.errors import Permanent


class Memory:
    def __init__(self) -> None:
        self.kept, self.writes = {}, 0

    async def remember(self, key, value):
        self.kept[key] = value
        self.writes += 1

    async def recall(self, key):
        return self.kept.get(key)


class Page:
    """Who is on WhatsApp: number → (id, hidden id)."""

    def __init__(self, people) -> None:
        self.people, self.asked = people, 0

    async def exists(self, wid):
        self.asked += 1
        return self.people.get(wid)


def test_addresses_become_ids_and_back():
    assert wid_of("+628123") == "628123@c.us"
    assert wid_of("99@lid") == "99@lid"
    assert address_of("628123@c.us", "") == "+628123"
    assert address_of("99@lid", "628123") == "+628123"
    assert address_of("99@lid", "") == "99@lid"
    for bad in ("toko", "a@b.c", "+62x", "@c.us"):
        with pytest.raises(Permanent):
            wid_of(bad)
    assert is_group("1@g.us")
    assert [is_nobody(wid) for wid in ("", "status@broadcast", "1@newsletter", "1@c.us")] == [True, True, True, False]


async def test_who_answers_from_another_id_is_known_by_the_address_we_wrote_to():
    memory = Memory()
    peers = Peers(memory)
    page = Page({"5511987654321@c.us": ("551187654321@c.us", "77@lid")})
    assert await peers.reach(page, "+5511987654321") == "551187654321@c.us"
    await peers.reach(page, "+5511987654321")
    assert page.asked == 1
    later = Peers(memory)  # another process
    for wid in ("77@lid", "551187654321@c.us"):
        assert await later.address(wid, "551187654321") == "+5511987654321"
    assert memory.writes == 2
    assert await later.address("78@lid", "") == "78@lid"


async def test_who_is_not_there_is_asked_about_again():
    page = Page({})
    peers = Peers(Memory())
    for _ in range(2):
        with pytest.raises(Permanent, match="not_on_whatsapp"):
            await peers.reach(page, "+628123")
    assert page.asked == 2


async def test_keys_of_facts_are_what_the_host_takes():
    memory = Memory()
    await Peers(memory).reach(Page({"1@c.us": ("1@c.us", "77:12@lid")}), "+1")
    assert list(memory.kept) == ["peer_7712_lid"]
