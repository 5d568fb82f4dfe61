"""How a conflict in the ledger is decided, and what a sender's error means."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from channelkit import ends, verdicts
from channelkit.lane_context import LaneSettings
from channelkit.protocol import Capabilities, NeedsLogin, OutcomeUnknown, Restricted
from contracts.channels import Channel
from contracts.commands import Content, Recipient, SendMessage
from contracts.inbox import Cancelled, Failed, Sent, Unknown
from contracts.state import LedgerEntry
from servicekit.clock import FixedClock
from servicekit.errors import Permanent, Retry
from servicekit.ledger import Found

NOW = datetime(2026, 11, 21, tzinfo=UTC)
MINE, THEIRS = "mine", "theirs"


def entry(state: str, token: str | None = MINE, **more) -> LedgerEntry:
    return LedgerEntry(state=state, token=token, at=NOW, **more)


def resolve(wanted: LedgerEntry, found: LedgerEntry | None, *, held: bool = True, idempotent: bool = False):
    return ends.resolve(wanted, Found(found, 7) if found else None, MINE, held=held, idempotent=idempotent)


@pytest.mark.parametrize("state", ["sent", "failed", "unknown", "cancelled", "released"])
def test_our_own_write_whose_answer_was_lost_stands(state):
    assert resolve(entry(state), entry(state)).stands


@pytest.mark.parametrize(
    ("wanted", "becomes"),
    [
        ("released", "cancelled"),
        ("cancelled", "cancelled"),
        ("sent", "sent"),
        ("failed", "failed"),
        ("unknown", "unknown"),
    ],
)
def test_a_wish_to_cancel_ends_what_was_not_sent_and_never_releases(wanted, becomes):
    found = resolve(entry(wanted), entry("claimed", cancel="paused"))
    assert (found.entry.state, found.revision, found.stands) == (becomes, 7, False)
    if becomes == "cancelled":
        assert found.entry.reason == "paused"


def test_a_wish_to_cancel_what_is_half_out_makes_it_unknown():
    found = resolve(entry("released", parts_done=["1"]), entry("claimed", cancel="paused"))
    assert (found.entry.state, found.entry.reason) == ("unknown", "partly_sent")
    assert resolve(entry("released", parts_done=["1"]), entry("claimed", cancel="x"), idempotent=True).entry.state == (
        "cancelled"
    )


@pytest.mark.parametrize("have", ["sent", "failed", "cancelled", "unknown"])
def test_another_end_stands_except_unknown_before_the_truth(have):
    found = resolve(entry("sent"), entry(have, THEIRS))
    assert found.entry.state == ("sent" if have == "unknown" else have)
    assert resolve(entry("failed"), entry(have, THEIRS)).entry.state == have


def test_a_claim_taken_over_while_ours_was_out_is_left_alone():
    assert resolve(entry("unknown"), entry("claimed", THEIRS)).entry is None
    assert resolve(entry("sent"), entry("claimed", THEIRS)).entry.state == "sent"


def test_a_dead_holders_claim_ends_unknown_whatever_we_would_have_written():
    for wanted in ("cancelled", "failed", "released"):
        found = resolve(entry(wanted), entry("claimed", THEIRS, parts_done=["1"]), held=False)
        assert (found.entry.state, found.entry.reason) == ("unknown", "holder_lost")
    assert not resolve(entry("failed"), entry("released", THEIRS)).stands
    assert resolve(entry("failed"), None).revision == 0


def command() -> SendMessage:
    return SendMessage(
        id="1", source="campaigns", account_id="a", row="r", batch="c.1", not_after=NOW,
        to=Recipient(address="x"), content=Content(text="t"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("made", "model"),
    [
        (entry("sent", platform_ids=["p"]), Sent),
        (entry("failed", reason="r", detail="d"), Failed),
        (entry("unknown", reason="r"), Unknown),
        (entry("cancelled", reason="retry", not_before=NOW), Cancelled),
        (entry("cancelled", reason="something new"), Cancelled),
    ],
)
def test_every_end_has_its_event(made, model):
    event = ends.outcome(Channel.EMAIL, command(), made)
    assert type(event) is model
    assert model.model_validate_json(event.model_dump_json()) == event


@dataclass
class Tried:
    claimed: bool = True
    tries: int = 0
    doubtful: bool = False
    parts_done: tuple[str, ...] = ()


def judge(error: Exception, *, idempotent: bool = False, **tried):
    ctx = SimpleNamespace(
        clock=FixedClock(NOW), settings=LaneSettings(), capabilities=Capabilities(idempotent_send=idempotent)
    )
    return verdicts.judge(error, Tried(**tried), ctx, MINE)


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def test_retries_short_long_and_exhausted():
    short = judge(Retry(30, "busy"))
    assert (short.end.state, short.tries, short.again_after) == ("released", 1, 30)
    assert short.end.not_before == NOW + timedelta(seconds=30)
    long = judge(Retry(61, "greylisted"), tries=1)
    assert (long.end.state, long.end.reason, long.tries, long.again_after) == ("cancelled", "retry", 2, None)
    assert long.end.not_before == NOW + timedelta(seconds=61)
    last = judge(Retry(1, "busy"), tries=4)
    assert (last.end.state, last.end.reason) == ("failed", "exhausted")


def test_a_long_retry_of_what_is_half_out_is_unknown():
    assert judge(Retry(600), parts_done=("1",)).end.state == "unknown"


@pytest.mark.parametrize("claimed", [True, False])
def test_the_accounts_own_trouble_counts_no_try_and_ends_nothing(claimed):
    errors = (NeedsLogin("x"), Restricted(NOW, "flood"), caused(Retry(2, "lost"), ConnectionResetError()))
    for error in errors:
        verdict = judge(error, claimed=claimed, tries=3)
        assert verdict.tries == 3
        assert (verdict.end.state if verdict.end else None) == ("released" if claimed else None)
    assert judge(ConnectionRefusedError(), claimed=False).hold > 0


def test_only_what_was_claimed_can_be_unknown():
    assert judge(OutcomeUnknown("?")).end.state == "unknown"
    assert judge(TimeoutError()).end.state == "unknown"
    assert judge(RuntimeError("bug")).end.state == "unknown"
    assert judge(ConnectionResetError()).end.state == "unknown"
    assert judge(RuntimeError("bug"), claimed=False).end.state == "released"
    assert judge(Permanent("no"), claimed=False).end.state == "failed"


def test_an_idempotent_platform_is_sent_to_again_and_never_called_failed():
    again = judge(OutcomeUnknown("?"), idempotent=True)
    assert (again.end, again.doubtful, again.tries) == (None, True, 1)
    assert judge(OutcomeUnknown("?"), idempotent=True, tries=4).end.state == "unknown"
    assert judge(Retry(1, "busy"), idempotent=True, doubtful=True, tries=4).end.state == "unknown"
    assert judge(Retry(600), idempotent=True, doubtful=True).end is None
