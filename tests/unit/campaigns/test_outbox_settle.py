"""Which writes outcomes become: ranges cover what was heard and nothing else, in states they may replace."""

from collections.abc import Iterable

import pytest
from campaigns.outbox.settle import from_ledger, writes
from campaigns.outbox.stretches import stretches
from contracts.ids import message_id
from contracts.inbox import Cancelled, Failed, Outcome, Sent, Unknown
from contracts.state import LedgerEntry
from hypothesis import given
from hypothesis import strategies as st
from pymongo import UpdateMany, UpdateOne
from servicekit.clock import utcnow

NOW = utcnow()


def of(kind: type[Outcome], number: int, batch: str = "c.1", **more) -> Outcome:
    return kind(
        account_id="a", channel="email", campaign_id="c", row=f"r{number}", batch=batch, k=1, number=number, tries=1,
        at=NOW, **more,
    )  # fmt: skip


@given(st.sets(st.integers(0, 3_000), max_size=400))
def test_ranges_and_singles_cover_exactly_what_was_heard(numbers: set[int]):
    ranges, singles = stretches(numbers)
    covered = [n for one in ranges for n in range(one.first, one.last + 1) if n not in one.holes]
    assert sorted([*covered, *singles]) == sorted(numbers)
    assert all(len(one.holes) <= 200 for one in ranges)


def test_a_thousand_outcomes_with_a_few_exceptions_are_a_few_writes():
    odd = {7: of(Failed, 7, reason="x"), 500: of(Unknown, 500, reason="y")}
    made = writes([odd.get(n) or of(Sent, n) for n in range(1_000)], NOW)
    assert len(made) == 3
    [many] = [one for one in made if isinstance(one, UpdateMany)]
    assert many._filter["number"]["$nin"] == [7, 500]
    assert many._filter["batch"] == "c.1"
    assert many._filter["slice"] == "c.a.0"


@pytest.mark.parametrize(
    ("outcome", "replaces", "state"),
    [
        (of(Sent, 1), ["queued", "unknown"], "sent"),
        (of(Failed, 1, reason="x"), ["queued", "unknown"], "failed"),
        (of(Unknown, 1, reason="x"), ["queued"], "unknown"),
        (of(Cancelled, 1, reason="suppressed"), ["queued"], "cancelled"),
        (of(Cancelled, 1, reason="expired"), ["queued"], "pending"),
        (of(Cancelled, 1, reason="retry", not_before=NOW), ["queued"], "pending"),
    ],
)
def test_each_outcome_names_batch_and_the_states_it_may_replace(outcome: Outcome, replaces: list[str], state: str):
    [write] = writes([outcome], NOW)
    assert isinstance(write, UpdateOne)
    assert write._filter == {"batch": "c.1", "state": {"$in": replaces}, "_id": "r1"}
    assert write._doc["$set"]["state"] == state


def test_rows_of_one_number_are_written_one_by_one():
    twins: Iterable[Outcome] = [of(Sent, 5), of(Sent, 5).model_copy(update={"row": "other"})]
    assert {w._filter["_id"] for w in writes(twins, NOW)} == {"r5", "other"}


def test_the_ledger_says_the_same_as_the_event():
    row = {"_id": "r1", "account": "a", "channel": "email", "campaign": "c", "batch": "c.1", "k": 1, "number": 1,
           "wanted": 2, "tries": 1}  # fmt: skip
    entry = LedgerEntry(state="failed", reason="x", detail="550", tries=3, at=NOW)
    made = from_ledger(row, entry)
    assert (type(made), made.wanted, made.tries, made.detail) == (Failed, 2, 3, "550")
    ignorant = LedgerEntry(state="cancelled", reason="paused", at=NOW)
    assert from_ledger(row, ignorant).tries == 1
    with pytest.raises(ValueError, match="claimed"):
        from_ledger(row, LedgerEntry(state="claimed", at=NOW))


def test_platform_ids_that_follow_from_the_row_keep_nothing_from_being_a_range():
    derived = of(Sent, 1, platform_ids=[message_id("r1", 0, "example.com")])
    assert "platform_ids" not in writes([derived], NOW)[0]._doc["$set"]
    own = of(Sent, 1, platform_ids=["12345"])
    assert writes([own], NOW)[0]._doc["$set"]["platform_ids"] == ["12345"]
