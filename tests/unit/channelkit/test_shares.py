"""Who takes how many accounts."""

from datetime import UTC, datetime

from channelkit.shares import FREE, fair_share, free_accounts, surplus
from contracts.state import Heartbeat, Lease
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@given(st.integers(0, 5000), st.lists(st.integers(0, 500), min_size=1, max_size=12))
def test_together_the_shares_hold_every_account_there_is_room_for(accounts, rooms):
    shares = [fair_share(accounts, room, rooms) for room in rooms]
    assert all(share <= room for share, room in zip(shares, rooms, strict=True))
    assert sum(shares) >= min(accounts, sum(rooms))


def test_equal_replicas_share_equally():
    assert fair_share(10, 100, [100, 100, 100]) == 4
    assert fair_share(0, 100, [100]) == 0


def test_what_a_small_replica_cannot_hold_goes_to_the_large_one():
    assert fair_share(100, 1000, [1000, 10]) == 90
    assert fair_share(100, 10, [1000, 10]) == 10


def test_an_account_is_free_when_nobody_living_holds_it():
    alive = {"a": Heartbeat(replica="a", started_at=NOW, max_sessions=1)}
    leases = {r: Lease(replica=r, epoch=1, since=NOW) for r in ("a", "dead", FREE)}
    assert free_accounts(["a", "dead", FREE, "new"], leases, alive) == ["dead", FREE, "new"]


def test_the_surplus_is_the_same_each_time():
    assert surplus(["c", "a", "b"], 2) == surplus(["b", "c", "a"], 2) == ["c"]
    assert surplus(["a"], 2) == []
