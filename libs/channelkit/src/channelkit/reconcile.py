"""What must be done for one account: a pure decision from what is wanted and what is."""

from dataclasses import dataclass
from enum import StrEnum
from random import Random

from contracts.state import DesiredAccount

FIRST_BACKOFF_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 300.0


class Action(StrEnum):
    """The next step for an account; each one is safe to do again."""

    NOTHING = "nothing"
    OPEN = "open"
    REOPEN = "reopen"
    APPLY = "apply"
    CLOSE = "close"
    DELETE = "delete"
    CLEAN = "clean"
    STEP_BACK = "step_back"


@dataclass(frozen=True)
class SessionView:
    """What this replica has of an account: `version` and `login_version` as last applied (0: never)."""

    is_open: bool = False
    version: int = 0
    login_version: int = 0
    waiting: bool = False
    """Closed on purpose: until its backoff is over, or until a person logs in again."""
    ended: bool = False
    """Deleted, or closed and reported off, at `version`."""


def decide(desired: DesiredAccount | None, *, held: bool, session: SessionView) -> Action:
    """Return the next action; the caller does it, renews its view, and asks again until NOTHING is left."""
    if not held:
        return Action.STEP_BACK if session.is_open else Action.NOTHING
    if desired is None:
        return Action.CLEAN
    if desired.status != "active":
        if session.ended and session.version == desired.version:
            return Action.NOTHING
        return Action.DELETE if desired.status == "deleting" else Action.CLOSE
    return _active(desired, session)


def _active(desired: DesiredAccount, session: SessionView) -> Action:
    new_login = desired.login_version != session.login_version
    if session.is_open and new_login:
        return Action.REOPEN
    if not session.is_open and (new_login or not session.waiting):
        return Action.OPEN
    return Action.APPLY if desired.version != session.version else Action.NOTHING


def backoff_seconds(failures: int, random: Random) -> float:
    """Return the pause before the next login: 1 s doubling to 5 min, spread by half so that accounts do not march."""
    longest = min(FIRST_BACKOFF_SECONDS * 2.0 ** min(failures, 20), LONGEST_BACKOFF_SECONDS)
    return longest * (0.5 + random.random() / 2)
