"""Failpoints: each is passed at one place, none is armed by mistake, and an unarmed one does nothing."""

import asyncio
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from servicekit import failpoints
from servicekit.errors import Unavailable
from servicekit.failpoints import POINTS, arm, failpoint, failpoint_flushed

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def disarmed():
    yield
    arm("", practice=True)


def passed_in(*packages):
    """Return how often each name is passed in the sources of packages."""
    return Counter(
        name
        for package in packages
        for file in (ROOT / package).glob("src/**/*.py")
        if file.name != "failpoints.py"
        for name in re.findall(r'\bfailpoint(?:_flushed)?\("([^"]+)"\)', file.read_text("utf-8"))
    )


def test_each_name_is_passed_at_exactly_one_place():
    channels = [passed_in(f"services/{path.name}") for path in (ROOT / "services").glob("channel-*")]
    shared = passed_in(
        *(f"libs/{path.name}" for path in (ROOT / "libs").iterdir()), "services/accounts", "services/campaigns"
    )
    own = {name for name in POINTS if name.startswith("inbound.")}
    assert shared == Counter(dict.fromkeys(set(POINTS) - own, 1))
    assert channels.count(Counter(dict.fromkeys(own, 1))) == len([found for found in channels if found])
    assert set().union(*channels) == own


@pytest.mark.parametrize(
    "setting", ["lane.nowhere=kill", "lane.after_send=explode", "lane.after_send", "lane.after_send=pause", "x"]
)
def test_what_is_unknown_is_refused_and_nothing_is_armed(setting):
    with pytest.raises(ValueError, match=r"failpoint|an action is"):
        arm(f"lane.after_claim=error; {setting}", practice=True)
    failpoint("lane.after_claim")


def test_nothing_is_armed_outside_practice():
    with pytest.raises(ValueError, match="practice mode only"):
        arm("lane.after_send=error", practice=False)
    failpoint("lane.after_send")


def test_an_action_is_done_at_its_passing_and_once():
    arm("lane.after_claim=error@2", practice=True)
    failpoint("lane.after_claim")
    failpoint("lane.after_send")
    with pytest.raises(Unavailable, match=r"lane\.after_claim"):
        failpoint("lane.after_claim")
    failpoint("lane.after_claim")


async def test_a_flushing_point_lets_others_run_first():
    arm("lane.after_ledger=error", practice=True)
    ran = asyncio.create_task(asyncio.sleep(0))
    with pytest.raises(Unavailable):
        await failpoint_flushed("lane.after_ledger")
    assert ran.done()


def test_pausing_holds_the_whole_process():
    arm("lane.after_claim=pause:0.2", practice=True)
    started = time.monotonic()
    failpoint("lane.after_claim")
    assert time.monotonic() - started >= 0.2


def test_killing_is_sigkill():
    code = "from servicekit import failpoints as f; f.arm('lane.after_send=kill', practice=True); f.failpoint('lane.after_send')"
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == -9


def test_unarmed_a_passing_costs_next_to_nothing():
    assert not failpoints._armed
    started = time.process_time()
    for _ in range(100_000):
        failpoint("lane.after_send")
    assert time.process_time() - started < 0.1  # a microsecond each, on a busy machine
