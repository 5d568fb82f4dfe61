"""How much is dispatched ahead, and when."""

from datetime import UTC, datetime, timedelta

import pytest
from campaigns.campaign.domain import Schedule, SendingHours, is_open, local_day
from campaigns.campaign.expansion import account_for
from campaigns.dispatch.window import not_after, room, window
from contracts.state import Pace
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)  # a Monday


@pytest.mark.parametrize(
    ("pace", "size"),
    [
        (Pace(), 2_000),
        (Pace(per_second=1), 300),
        (Pace(per_second=0.0001), 2),
        (Pace(min_pause_seconds=30, max_pause_seconds=60), 6),
        (Pace(per_second=100), 2_000),
    ],
)
def test_the_window_is_five_minutes_of_pace(pace: Pace, size: int):
    assert window(pace, 300) == size


@given(st.integers(2, 2_000), st.integers(0, 5_000), st.integers(1, 50), st.integers(0, 5_000))
def test_a_queue_is_never_filled_past_its_window_nor_a_share_past_its_part(full: int, waiting: int, n: int, own: int):
    more = room(full, waiting, n, own)
    assert more >= 0
    if more:
        assert waiting + more <= full
        assert min(own, waiting) + more <= max(1, full // n) or n == 1


def test_an_empty_queue_is_always_given_something():
    assert all(room(full, 0, n, 0) >= 1 for full in (2, 3, 2_000) for n in (1, 7, 1_000))


def test_a_batch_lives_long_enough_but_never_past_its_campaign():
    slow = not_after(NOW, Pace(min_pause_seconds=3_600, max_pause_seconds=3_600), 2, 43_200, None)
    assert slow == NOW + timedelta(hours=6, minutes=10)
    assert not_after(NOW, Pace(per_second=0.0001), 2, 43_200, None) == NOW + timedelta(hours=12)
    end = NOW + timedelta(minutes=1)
    assert not_after(NOW, Pace(), 2_000, 43_200, end) == end


@pytest.mark.parametrize(
    ("hours", "at", "wanted"),
    [
        (SendingHours(start="08:00", end="17:00"), NOW, False),  # 19:00 in Jakarta
        (SendingHours(start="08:00", end="20:00"), NOW, True),
        (SendingHours(start="20:00", end="06:00"), NOW + timedelta(hours=3), True),
        (SendingHours(start="20:00", end="06:00", days=[0]), NOW + timedelta(hours=10), True),  # Tuesday 05:00
        (SendingHours(start="20:00", end="06:00", days=[1]), NOW + timedelta(hours=10), False),
        (SendingHours(start="08:00", end="20:00", days=[1]), NOW, False),
        (None, NOW, True),
    ],
)
def test_sending_hours_in_their_zone(hours: SendingHours | None, at: datetime, wanted: bool):
    assert is_open(hours, at) is wanted


def test_a_day_is_the_zones_day():
    hours = SendingHours(start="00:00", end="23:59")
    assert local_day(Schedule(hours=hours), NOW + timedelta(hours=6)) == "2026-06-02"
    assert local_day(Schedule(), NOW + timedelta(hours=6)) == "2026-06-01"


def test_wrong_schedules_are_refused():
    with pytest.raises(ValidationError, match="time zone"):
        SendingHours(start="08:00", end="17:00", time_zone="Mars/Olympus")
    with pytest.raises(ValidationError, match="after start"):
        Schedule(start=NOW, end=NOW)


def test_recipients_are_spread_evenly_and_stay_with_who_they_talk_to():
    accounts = ["a", "b", "c"]
    spread = [account_for(accounts, f"p{n}@example.com", {}) for n in range(3_000)]
    assert all(900 < spread.count(one) < 1_100 for one in accounts)
    assert account_for(accounts, "P1@example.com", {"p1@example.com": "c"}) == "c"
    assert account_for(accounts, "p1@example.com", {"p1@example.com": "gone"}) in accounts
