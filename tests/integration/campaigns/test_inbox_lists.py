"""Every filter of the list of conversations shows exactly those that match, newest first, page by page."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from campaigns.inbox import domain, listing, store
from contracts.inbox import Received

COUNT = 400
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("Siti Aminah", "Budi", "Siti Nurhaliza", "B", "")
FILTERS = [
    {}, {"tab": "unassigned"}, {"tab": "assigned"}, {"tab": "resolved"}, {"tab": "archived"}, {"account": "acc_1"},
    {"account": "acc_9"}, {"channel": "email"}, {"channel": "whatsapp"}, {"channel": "telegram"}, {"campaign": "c1"},
    {"campaign": "c2", "tab": "resolved"}, {"tag": "vip"}, {"tag": "vip", "account": "acc_2"}, {"tag": "none"},
    {"assignee": "ani"}, {"assignee": "ani", "tab": "resolved"}, {"assignee": "nobody"}, {"tab": "assigned", "channel": "whatsapp"},
    {"q": "siti"}, {"q": "AMINAH"}, {"q": "b"}, {"q": "person-77@"}, {"q": "person-7"}, {"q": "zz"}, {"q": "s"},
    {"q": "siti nurhaliza"}, {"q": "siti", "tag": "vip"}, {"q": "person-", "tab": "archived"}, {"q": "zzzzzzzzzzzzzzzz"},
]  # fmt: skip


def made(index: int, chance: random.Random) -> dict:
    peer = f"person-{index}@x.test"
    channel = "whatsapp" if chance.random() < 0.05 else "email"
    minutes = index - index % 3 + (20_000 if index > 200 else 0)  # threes at one moment, and a gap of two weeks
    heard = Received.model_validate({
        "id": f"in{index}", "account_id": f"acc_{chance.randrange(4)}", "channel": channel, "platform_id": f"<{index}@x>",
        "sender": {"address": peer, "name": chance.choice(NAMES)}, "conversation": peer,
        "at": BEGAN + timedelta(minutes=minutes), "text": "Halo",
    })  # fmt: skip
    return {
        "_id": domain.conversation_id(heard.account_id, peer), **store.new_conversation(heard, None),
        **store.shown_as(heard.at, "Halo", "in"), "closed": chance.choice([None, None, None, "archived"] if index > 200 else ["resolved", None]),
        "assignee": chance.choice([None, None, None, "ani", "wati"]), "tags": chance.choice([[], [], [], [], ["vip", "new"]]),
        "campaigns": [f"c{index * 3 // COUNT}"] if index % 3 == 0 else [],
    }  # fmt: skip


def shown(one: dict, wanted: dict) -> bool:
    q, status = wanted.get("q", "").casefold(), domain.status(one)
    name, address = one["name"].casefold(), one["address"]
    return (
        (status == wanted["tab"] if "tab" in wanted else status != "archived")
        and all(one[field] == wanted[field] for field in ("account", "channel", "assignee") if field in wanted)
        and wanted.get("campaign") in [None, *one["campaigns"]]
        and wanted.get("tag") in [None, *one["tags"]]
        and any(text.startswith(q) for text in (name, *name.split(), address))
    )


@pytest.mark.parametrize("budget", [3_000, 100, 1])
async def test_each_filter_shows_what_matches_and_nothing_else(people, monkeypatch, budget):
    """With a small budget the indexes are asked."""
    monkeypatch.setattr(listing, "STEP", 20)
    monkeypatch.setattr(listing, "_along", _with(listing._along, budget))
    chance = random.Random(3)
    talks = [made(index, chance) for index in range(COUNT)]
    await people.ctx.db["conversations"].insert_many(talks)
    talks.sort(key=lambda one: (one["last_ms"], one["_id"]), reverse=True)
    for wanted in FILTERS:
        expected = [one["_id"] for one in talks if shown(one, wanted)]
        assert await listed(people, wanted) == expected, wanted


def _with(along, budget):
    async def bounded(ctx, wanted, below, count, given=budget):
        return await along(ctx, wanted, below, count, given)

    return bounded


async def listed(people, wanted: dict) -> list[str]:
    ids, cursor = [], None
    while True:
        params = {**wanted, "limit": 37} | ({"cursor": cursor} if cursor else {})
        page = (await people.viewer.get("/v1/conversations", params=params)).json()
        ids += [one["id"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            return ids


async def test_what_begins_with_a_text_has_its_indexed_beginning():
    for text in ("s", "si", "sit", "siti", "siti am", "siti ami", "siti amina", "siti aminah binti"):
        assert domain.begins_with(text) in domain.begins(["siti aminah binti umar"])
