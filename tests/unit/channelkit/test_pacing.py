"""Pause, rate, cap, warm-up and quiet hours."""

from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from channelkit.pacing import Pacer, cap_of, day_of, next_day, quiet_until, zone_of
from contracts.state import Pace, QuietHours
from hypothesis import given
from hypothesis import strategies as st

TIMES = st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
CLOCK_TIMES = st.builds(lambda h, m: f"{h:02}:{m:02}", st.integers(0, 23), st.integers(0, 59))


class Now:
    def __init__(self) -> None:
        self.at = 1_000.0

    def __call__(self) -> float:
        return self.at


def pacer(**pace) -> tuple[Pacer, Now]:
    now = Now()
    made = Pacer(now, Random(7))
    made.apply(Pace(**pace))
    made.begin(full_pause=False)
    return made, now


def test_without_a_pace_everything_is_due():
    made, _ = pacer()
    assert [made.reserve() for _ in range(3)] == [0.0] * 3, "nothing holds it"
    assert made.batch(256) == 256


def test_the_pause_counts_from_the_end_of_the_send():
    made, now = pacer(min_pause_seconds=10, max_pause_seconds=10)
    assert made.reserve() == 1_000.0
    now.at += 4
    made.sent()
    assert made.wait() == pytest.approx(10)
    assert made.batch(256) == 1


@given(st.floats(0, 100), st.floats(0, 100), st.integers(0, 2**32))
def test_a_pause_lies_between_its_bounds(low, more, seed):
    now = Now()
    made = Pacer(now, Random(seed))
    made.apply(Pace(min_pause_seconds=low, max_pause_seconds=low + more))
    made.begin(full_pause=True)
    assert low - 1e-6 <= made.wait() <= low + more + 1e-6


@given(st.floats(0.5, 500), st.lists(st.floats(0, 0.5), min_size=2, max_size=60))
def test_a_rate_is_never_exceeded_by_more_than_its_catching_up(per_second, steps):
    now = Now()
    made = Pacer(now)
    made.apply(Pace(per_second=per_second))
    made.begin(full_pause=False)
    left = []
    for step in steps:
        now.at += step
        if made.wait() == 0:
            left.append(made.reserve())
    assert len(left) <= (now.at - 1_000) * per_second + 0.25 * per_second + 1


def test_a_new_holder_begins_with_a_full_pause_and_a_shorter_pace_shortens_it():
    made, _ = pacer(min_pause_seconds=60, max_pause_seconds=60)
    made.begin(full_pause=True)
    assert made.wait() == 60
    made.apply(Pace(min_pause_seconds=5, max_pause_seconds=5))
    assert made.wait() == 5
    made.apply(Pace())
    assert made.wait() == 0


@given(TIMES, CLOCK_TIMES, CLOCK_TIMES, st.sampled_from(["Asia/Jakarta", "Europe/Berlin", "America/New_York"]))
def test_quiet_hours_end_after_now_and_at_their_end(now, start, end, zone):
    quiet = QuietHours(start=start, end=end, time_zone=zone)
    until = quiet_until(quiet, now, ZoneInfo(zone))
    local = now.astimezone(ZoneInfo(zone)).strftime("%H:%M")
    inside = start <= local < end if start < end else (start != end and (local >= start or local < end))
    assert (until is not None) == inside
    if until is not None:
        assert f"{until:%H:%M}" == end
        assert now - timedelta(hours=2) < until <= now + timedelta(hours=26)


def test_a_day_counts_in_the_paces_time_zone():
    """20:00 in UTC is the next day in Jakarta."""
    now = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)
    assert day_of(Pace(), now) == "2026-11-22"
    assert next_day(Pace(), now) == datetime(2026, 11, 22, 17, 0, tzinfo=UTC)
    odd = Pace(quiet_hours=QuietHours(start="22:00", end="06:00", time_zone="Nowhere/Atlantis"))
    assert zone_of(odd).key == "Asia/Jakarta"


@pytest.mark.parametrize(
    ("day", "cap"), [("2026-11-20", 10), ("2026-11-21", 15), ("2026-11-22", 22), ("2027-11-22", 200)]
)
def test_warm_up_grows_by_the_day_up_to_the_cap(day, cap):
    pace = Pace(daily_cap=200, warm_up={"first_day": 10, "growth": 1.5})
    assert cap_of(pace, "2026-11-20", day) == cap
    assert cap_of(Pace(), "", day) is None
    assert cap_of(Pace(warm_up={"first_day": 5}), "", day) == 5
