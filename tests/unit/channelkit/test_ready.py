"""What a lane writes as ready bytes is what the models would have written."""

from datetime import UTC, datetime

from channelkit import ends, ready
from contracts.channels import Channel
from contracts.commands import OURS, Content, Recipient, SendMessage
from contracts.headers import cloud_event
from contracts.inbox import Sent
from contracts.state import LedgerEntry
from hypothesis import example, given
from hypothesis import strategies as st
from servicekit.direct import Delivery

IDS = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
DOTTED = st.builds(".".join, st.lists(IDS, min_size=1, max_size=4))
MOMENTS = st.datetimes(timezones=st.just(UTC)).filter(lambda at: at.year > 2000)
PLATFORM_IDS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=3)
COMMANDS = st.builds(
    SendMessage, id=IDS, source=st.just(OURS), account_id=st.just("acc_1"), campaign_id=st.none() | st.text(max_size=9),
    row=DOTTED, batch=DOTTED, k=st.integers(1, 10**9), number=st.integers(0, 10**9), wanted=st.integers(0, 99),
    not_after=MOMENTS, to=st.just(Recipient(address="a@b.c")), content=st.just(Content(text="hi")),
)  # fmt: skip


EXAMPLE = SendMessage(
    id="c1", source=OURS, account_id="acc_1", row="r1", batch="b.1", not_after=datetime(2030, 1, 1, tzinfo=UTC),
    to=Recipient(address="a@b.c"), content=Content(text="hi"),
)  # fmt: skip


@given(token=IDS, tries=st.integers(0, 9), ids=PLATFORM_IDS, at=MOMENTS)
def test_ledger_entries(token, tries, ids, at):
    claim = LedgerEntry(state="claimed", token=token, tries=tries, at=at)
    assert ready.claimed(token, tries, at) == claim.model_dump_json(exclude_defaults=True).encode()
    end = LedgerEntry(state="sent", token=token, tries=tries + 1, platform_ids=ids, at=at)
    assert ready.sent(token, tries + 1, ids, at) == end.model_dump_json(exclude_defaults=True).encode()


@given(command=COMMANDS, tries=st.integers(1, 9), ids=PLATFORM_IDS, at=MOMENTS)
@example(command=EXAMPLE, tries=1, ids=[], at=datetime(2026, 1, 2, 3, 4, 5, 0, UTC))
@example(command=EXAMPLE, tries=1, ids=[], at=datetime(2026, 1, 2, 3, 4, 5, 999, UTC))
def test_events(command, tries, ids, at):
    events = ready.SentEvents(Channel.EMAIL, "acc_1", "channel-email")
    entry = LedgerEntry(state="sent", token="t", tries=tries, platform_ids=ids, at=at)
    event = ends.outcome(Channel.EMAIL, command, entry)
    assert isinstance(event, Sent)
    assert events.data(command, tries, ids, at) == event.model_dump_json().encode()
    made = Delivery(b"s", b"", events.head(command, at, b"00-trace"), b"")
    wanted = cloud_event(event, f"{command.attempt}.{command.wanted}.sent", "channel-email")
    wanted |= {"ce-time": at.isoformat(timespec="milliseconds"), "traceparent": "00-trace"}
    assert {name: made.header(name.encode()) for name in wanted} == {n: v.encode() for n, v in wanted.items()}
    assert made.head.count(b"\r\n") == len(wanted) + 2
    assert made.head.endswith(b"\r\n\r\n")
