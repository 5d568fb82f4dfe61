"""What must be done for one account."""

from random import Random

import pytest
from channelkit.reconcile import Action, SessionView, backoff_seconds, decide
from contracts.channels import Channel
from contracts.state import DesiredAccount

OPEN = SessionView(is_open=True, version=3, login_version=1)
CLOSED = SessionView()


def wanted(status="active", version=3, login_version=1):
    return DesiredAccount(
        account_id="acc", channel=Channel.EMAIL, version=version, status=status, login_version=login_version
    )


@pytest.mark.parametrize(
    ("desired", "session", "action"),
    [
        (wanted(), CLOSED, Action.OPEN),
        (wanted(), OPEN, Action.NOTHING),
        (wanted(version=4), OPEN, Action.APPLY),
        (wanted(version=4, login_version=4), OPEN, Action.REOPEN),
        (wanted("inactive", 4), OPEN, Action.CLOSE),
        (wanted("inactive", 4), CLOSED, Action.CLOSE),
        (wanted("inactive", 4), SessionView(version=4, ended=True), Action.NOTHING),
        (wanted("inactive", 5), SessionView(version=4, ended=True), Action.CLOSE),
        (wanted("deleting", 4), OPEN, Action.DELETE),
        (wanted("deleting", 4), CLOSED, Action.DELETE),
        (wanted("deleting", 4), SessionView(version=4, ended=True), Action.NOTHING),
        (None, OPEN, Action.CLEAN),
        (None, CLOSED, Action.CLEAN),
    ],
)
def test_the_holder_does_what_is_wanted(desired, session, action):
    assert decide(desired, held=True, session=session) is action


def test_without_the_lease_an_open_session_is_given_up_whatever_is_wanted():
    assert decide(wanted(), held=False, session=OPEN) is Action.STEP_BACK
    assert decide(wanted("deleting"), held=False, session=OPEN) is Action.STEP_BACK
    assert decide(wanted(), held=False, session=CLOSED) is Action.NOTHING


def test_a_failed_session_waits_for_its_backoff_unless_the_credentials_changed():
    waiting = SessionView(version=3, login_version=1, waiting=True)
    assert decide(wanted(), held=True, session=waiting) is Action.NOTHING
    assert decide(wanted(version=4), held=True, session=waiting) is Action.APPLY
    assert decide(wanted(version=4, login_version=4), held=True, session=waiting) is Action.OPEN


def test_backoff_doubles_to_five_minutes_and_is_spread():
    random = Random(1)
    for failures, longest in [(0, 1), (1, 2), (5, 32), (9, 300), (1000, 300)]:
        waits = [backoff_seconds(failures, random) for _ in range(50)]
        assert longest / 2 <= min(waits) < max(waits) <= longest
