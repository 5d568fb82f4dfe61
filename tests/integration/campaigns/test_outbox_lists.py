"""Every filter of the outbox's list shows exactly the rows that match, newest first, page by page."""

import random
from datetime import timedelta

import pytest
from campaigns.outbox import counts, listing, searching
from campaigns.outbox.listing import OutboxFilter
from campaigns.outbox.rows import EPOCH, ROWS, new_row, placed
from servicekit.clock import utcnow

COUNT = 600
NOW = utcnow().replace(microsecond=0)
STATES = ["sent"] * 50 + ["pending"] * 20 + ["failed"] * 8 + ["unknown", "cancelled"]
FILTERS = [
    {}, {"state": ["sent"]}, {"state": ["failed"]}, {"state": ["unknown"]}, {"state": ["unknown", "failed"]},
    {"state": ["delivered"]}, {"account": "acc_1"}, {"account": "acc_1", "state": ["failed"]}, {"campaign": "c1"},
    {"campaign": "c1", "account": "acc_0", "state": ["cancelled"]}, {"channel": "email"}, {"channel": "telegram"},
    {"kind": "reply"}, {"kind": "campaign", "state": ["failed"]}, {"bounced": True}, {"bounced": False, "state": ["failed"]},
    {"answered": True}, {"answered": False, "campaign": "c0"}, {"bounced": True, "answered": True},
    {"since": NOW + timedelta(minutes=450)}, {"until": NOW + timedelta(minutes=150)},
    {"since": NOW + timedelta(minutes=200), "until": NOW + timedelta(minutes=260), "state": ["sent"]},
    {"q": "person-7"}, {"q": "Siti 12"}, {"q": "p"}, {"q": "person-77@x.test"}, {"q": "zz"},
    {"q": "person-1", "state": ["failed"], "account": "acc_2"},
]  # fmt: skip


def made(index: int, chance: random.Random) -> dict:
    key, at = f"person-{index}@x.test", NOW + timedelta(minutes=index)
    row = new_row(
        f"row{index}", campaign=f"c{index * 3 // COUNT}", account=f"acc_{chance.randrange(4)}", channel="email",
        kind="reply" if chance.random() < 0.02 else "campaign", to={"address": key, "name": f"Siti {index}"}, key=key, now=at,
    )  # fmt: skip
    facts = {"state": chance.choice(STATES)}
    if chance.random() < 0.02:
        facts["bounced"] = {"kind": "bounce"}
    if chance.random() < 0.03:
        facts["answered_at"] = at
    return {**placed(row, index, index + 1), **facts, "not_before": EPOCH}


def matches(row: dict, wanted: dict) -> bool:
    q, at = wanted.get("q", "").casefold(), row["created_at"]
    return (
        all(row[name] == wanted[name] for name in ("account", "campaign", "channel", "kind") if name in wanted)
        and row["state"] in wanted.get("state", [row["state"]])
        and bool(row["bounced"]) == wanted.get("bounced", bool(row["bounced"]))
        and bool(row["answered_at"]) == wanted.get("answered", bool(row["answered_at"]))
        and wanted.get("since", at) <= at
        and at < wanted.get("until", at + timedelta(1))
        and (row["key"].startswith(q) or row["to"]["name"].casefold().startswith(q))
    )


async def listed(ctx, wanted: dict) -> list[str]:
    ids, cursor = [], None
    while True:
        page = await listing.listed(ctx, OutboxFilter(**wanted, cursor=cursor, limit=7))
        ids += [row["id"] for row in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return ids


@pytest.mark.parametrize("counted", ["all", "half", "none"])
async def test_each_filter_shows_what_matches_and_nothing_else(people, monkeypatch, counted):
    """Windows are small here, so that slices have to be asked; some of them changed since they were counted."""
    monkeypatch.setattr(searching, "WINDOW", 20)
    monkeypatch.setattr(searching, "MOST_IN_A_ROW", 60)
    monkeypatch.setattr("campaigns.outbox.zones.RARE_ROWS", 3)
    monkeypatch.setattr("campaigns.outbox.zones.STRETCH_ROWS", 7)
    ctx, chance = people.ctx, random.Random(11)
    rows = [made(index, chance) for index in range(COUNT)]
    for row in rows:  # slices of forty rows instead of a thousand
        row["slice"] = f"{row['campaign']}.{row['account']}.{row['number'] // 160}"
    await ctx.db[ROWS].insert_many(rows)
    await ctx.db["counters"].insert_one({"_id": ROWS, "n": COUNT})
    slices = sorted({row["slice"] for row in rows})
    await counts.touch(ctx, slices)
    for name in {"all": slices, "half": slices[::2], "none": []}[counted]:
        await counts.recount(ctx, name)
    for wanted in FILTERS:
        expected = [row["_id"] for row in reversed(rows) if matches(row, wanted)]
        assert await listed(ctx, wanted) == expected, wanted


async def test_a_row_that_failed_since_its_slice_was_counted_is_shown(people):
    ctx, chance = people.ctx, random.Random(5)
    rows = [made(index, chance) | {"state": "sent"} for index in range(30)]
    await ctx.db[ROWS].insert_many(rows)
    await ctx.db["counters"].insert_one({"_id": ROWS, "n": 30})
    for name in {row["slice"] for row in rows}:
        await counts.recount(ctx, name)
    await ctx.db[ROWS].update_one({"_id": "row9"}, {"$set": {"state": "failed"}})
    await counts.touch(ctx, [rows[9]["slice"]])
    assert await listed(ctx, {"state": ["failed"]}) == ["row9"]
