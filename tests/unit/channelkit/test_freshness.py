"""Whether what a replica believes may still be acted upon."""

import pytest
from channelkit import freshness
from channelkit.freshness import Freshness


class Watch:
    """A watch that answers as told."""

    def __init__(self, *, answer=False) -> None:
        self.answer = answer

    async def behind(self):
        return self.answer


@pytest.fixture
def now(monkeypatch):
    at = [1000.0]
    monkeypatch.setattr(freshness, "boottime", lambda: at[0])
    return at


async def test_nobody_is_fresh_before_the_first_answer(now):
    assert not Freshness([Watch()], 5).fresh()


@pytest.mark.parametrize("bad", [True, None])
async def test_behind_or_unanswered_for_five_seconds_is_stale_until_it_caught_up(now, bad):
    good, other = Watch(), Watch()
    watched = Freshness([good, other], 5)
    await watched.check()
    assert watched.fresh()
    other.answer = bad
    now[0] += 4
    await watched.check()
    assert watched.fresh()
    now[0] += 1.5
    await watched.check()
    assert not watched.fresh()
    other.answer = False
    await watched.check()
    assert watched.fresh()


async def test_a_process_that_slept_wakes_up_stale(now):
    watched = Freshness([Watch()], 5)
    await watched.check()
    now[0] += 60
    assert not watched.fresh()
