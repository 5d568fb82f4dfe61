"""`kurir dlq` on a real bus: listed, shown discreetly, sent on their way again, dropped; nothing lost or doubled."""

import asyncio
import json

import nats
import pytest
from contracts import subjects
from contracts.channels import Channel
from contracts.commands import Content, Recipient, SendMessage
from contracts.inbox import Sent
from contracts.topology import topology as wanted
from kurir import dead_letters
from kurir.cli import app
from kurir.home import Trouble
from servicekit import topology
from servicekit.clock import utcnow
from servicekit.delivery.settle import dead_letter
from servicekit.errors import Permanent
from typer.testing import CliRunner

ACCOUNT = "acc_1"
SEND = subjects.send(Channel.EMAIL, ACCOUNT, "bulk")
SENT = subjects.inbox(Channel.EMAIL, ACCOUNT, "sent")
SECRET = "Your code is 4711"
PERSON = "siti@example.com"


@pytest.fixture
async def js(bus):
    """JetStream of a bus with everything the contracts ask for."""
    await topology.apply(bus.js, wanted((Channel.EMAIL,)))
    return bus.js


@pytest.fixture
def dlq(fresh_nats, js, tmp_path, monkeypatch):
    """Return the command line, to be awaited: (*arguments, input) → its result."""
    monkeypatch.delenv("NATS_URL", raising=False)

    async def run(*arguments, said=None, url=fresh_nats.url):
        command = ["dlq", arguments[0], "--nats-url", url, "--home", str(tmp_path / "home"), *map(str, arguments[1:])]
        return await asyncio.to_thread(CliRunner().invoke, app, command, input=said)

    return run


def command(**changes):
    made = {
        "id": "order-17", "source": "crm", "account_id": ACCOUNT, "not_after": utcnow(),
        "to": Recipient(address=PERSON, name="Siti"), "content": Content(subject="Kode", text=SECRET),
    }  # fmt: skip
    return SendMessage.model_validate({**made, **changes})


def event(row="r1"):
    return Sent(account_id=ACCOUNT, channel=Channel.EMAIL, row=row, batch="c.1", k=1, at=utcnow())


async def bury(bus, subject, message, error="poison", msg_id=None):
    """Let a message travel to the dead letters as the delivery policy sends it; its stream keeps nothing of it."""
    data, headers = bus.envelope(message, msg_id)
    ack = await bus.js.publish(subject, data, headers=headers)
    sub = await bus.js.pull_subscribe(subject, durable="buried", stream=ack.stream)
    (msg,) = await sub.fetch(1, timeout=5)
    await dead_letter(bus, msg, Permanent("malformed", error), 3)
    await msg.term()
    await bus.js.delete_consumer(ack.stream, "buried")
    await bus.js.purge_stream(ack.stream, subject=subject)
    return (await bus.js.stream_info("DLQ")).state.last_seq


async def stored(js, stream):
    """Return [(subject, headers, data)] of what a stream holds."""
    state = (await js.stream_info(stream, subjects_filter=">")).state
    found = []
    for sequence in range(state.first_seq, state.last_seq + 1) if state.messages else ():
        try:
            one = await js.get_msg(stream, sequence)
        except nats.js.errors.NotFoundError:
            continue
        found.append((one.subject, one.headers, one.data))
    return found


async def test_an_empty_queue_says_so(dlq):
    ended = await dlq("list")
    assert (ended.exit_code, ended.stdout) == (0, "no dead letters\n")
    assert json.loads((await dlq("list", "--json")).stdout) == {"total": 0, "items": []}


async def test_the_list_names_sequence_subject_tries_and_error_in_a_line_each(bus, js, dlq):
    await bury(bus, SENT, event(), f"550 no {PERSON} here")
    await bury(bus, SEND, b"not json")
    lines = (await dlq("list")).stdout.splitlines()
    assert len(lines) == 3
    assert lines[1].split()[0] == "1"
    assert lines[1].split()[3:5] == ["3", SENT]
    assert lines[1].endswith("Permanent: malformed: 550 no (address) here")
    found = json.loads((await dlq("list", "--subject", "cmd.>", "--json")).stdout)
    assert [(one["sequence"], one["subject"], one["tries"], one["bytes"]) for one in found["items"]] == [
        (2, SEND, 3, 8)
    ]
    newest = await dlq("list", "--limit", "1")
    assert newest.stdout.splitlines()[1].split()[0] == "2"
    assert "newest 1 of 2" in newest.stdout


async def test_what_a_message_says_and_to_whom_is_shown_only_when_asked_for(bus, js, dlq):
    readable = await bury(bus, SEND, command(), f"refused {PERSON}")
    unreadable = await bury(bus, SEND, json.dumps({"id": "x", "recipient": PERSON, "body": SECRET}).encode())
    mail = await bury(bus, subjects.inbox(Channel.EMAIL, ACCOUNT, "received"), f"To: {PERSON}\n\n{SECRET}".encode())
    for sequence in (readable, unreadable, mail):
        for form in ([], ["--json"]):
            hidden = await dlq("show", sequence, *form)
            assert hidden.exit_code == 0
            assert PERSON not in hidden.output
            assert SECRET not in hidden.output
            whole = (await dlq("show", sequence, "--content", *form)).stdout
            assert PERSON in whole
            assert SECRET in whole
    found = json.loads((await dlq("show", readable, "--json")).stdout)
    assert (found["payload"]["row"], found["payload"]["account_id"]) == ("crm.order-17", ACCOUNT)
    assert found["headers"]["x-consumer"] == "buried"


async def test_an_event_is_shown_with_headers_and_payload(bus, js, dlq):
    ended = await dlq("show", await bury(bus, SENT, event("row_9"), msg_id="row_9.sent"))
    assert '"row": "row_9"' in ended.stdout
    assert "ce-type: kurir.message.sent.v1" in ended.stdout


async def test_what_a_letter_holds_cannot_command_a_terminal(bus, js, dlq):
    sequence = await bury(bus, SENT, json.dumps({"row": "\x1b[2J\x9b2J"}, ensure_ascii=False).encode())
    for form in ([], ["--content"]):
        shown = (await dlq("show", sequence, *form)).stdout
        assert not {"\x1b", "\x9b"} & set(shown)


@pytest.mark.parametrize(
    "payload", [b"", b"[" * 100_000, b"\xff\x00", b'{"a":' * 400 + b"1" + b"}" * 400, b"9" * 9_000]
)
async def test_any_payload_can_be_shown(bus, js, dlq, payload):
    sequence = await bury(bus, SENT, payload)
    for form in ([], ["--json"], ["--content"], ["--content", "--json"]):
        assert (await dlq("show", sequence, *form)).exit_code == 0


async def test_an_event_goes_back_where_it_came_from_and_leaves_the_dead_letters(bus, js, dlq):
    sequence = await bury(bus, SENT, event(), msg_id="r1.1.0.sent")
    original = (await js.get_msg("DLQ", sequence)).data
    ended = await dlq("replay", sequence)
    assert (ended.exit_code, ended.stdout) == (0, f"replayed {sequence} to {SENT}\n")
    ((subject, headers, data),) = await stored(js, "INBOX")
    assert (subject, data) == (SENT, original)
    assert headers["Nats-Msg-Id"] == f"replay.{sequence}"
    assert headers["ce-id"] == "r1.1.0.sent"
    assert not [name for name in headers if name.startswith("x-")]
    assert await stored(js, "DLQ") == []


async def test_killed_between_publish_and_delete_the_next_replay_neither_loses_nor_doubles(
    fresh_nats, bus, js, monkeypatch
):
    sequence = await bury(bus, SENT, event())

    async def killed(*_):
        raise asyncio.CancelledError

    async with dead_letters.opened(fresh_nats.url) as letters:
        letter = await letters.get(sequence)
        with monkeypatch.context() as patch:
            patch.setattr(letters, "drop", killed)
            with pytest.raises(asyncio.CancelledError):
                await letters.replay(letter)
        assert len(await stored(js, "INBOX")) == len(await stored(js, "DLQ")) == 1
        await letters.replay(await letters.get(sequence))
    assert len(await stored(js, "INBOX")) == 1
    assert await stored(js, "DLQ") == []


async def test_a_letter_whose_stream_refuses_stays_and_holds_back_no_other(bus, js, dlq):
    refused, taken = await bury(bus, SENT, event()), await bury(bus, SEND, b"not json")
    config = (await js.stream_info("INBOX")).config
    config.max_msgs = 1
    await js.update_stream(config)
    await js.publish(SENT, b"the last that fits")
    ended = await dlq("replay", "--subject", ">")
    assert ended.exit_code == 1
    assert f"{refused} is not replayed" in ended.stderr
    assert ended.stdout == f"replayed {taken} to {SEND}\n"
    assert [subject for subject, _, _ in await stored(js, "DLQ")] == [f"dlq.{SENT}"]


async def test_a_send_command_a_lane_could_read_is_refused_and_names_its_rows_retry(bus, js, dlq):
    sequence, other = await bury(bus, SEND, command()), await bury(bus, SENT, event())
    ended = await dlq("replay", sequence, other)
    assert ended.exit_code == 1
    assert "POST /v1/outbox/crm.order-17/retry" in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert ended.stdout == f"replayed {other} to {SENT}\n"
    assert await stored(js, "COMMANDS_EMAIL") == []
    assert [subject for subject, _, _ in await stored(js, "DLQ")] == [f"dlq.{SEND}"]


async def test_an_unreadable_command_may_be_replayed(bus, js, dlq):
    of_tomorrow = {"ce-type": "kurir.message.send.v9"}
    await js.publish(f"dlq.{SEND}", command().model_dump_json().encode(), headers={**of_tomorrow, "x-error": "unknown"})
    await js.publish(f"dlq.{SEND}", b"not json", headers={"x-error": "malformed"})
    ended = await dlq("replay", "--subject", "cmd.>")
    assert (ended.exit_code, ended.stderr) == (0, "")
    (first, second) = await stored(js, "COMMANDS_EMAIL")
    assert first[1] == {**of_tomorrow, "Nats-Msg-Id": "replay.1"}
    assert second[2] == b"not json"


@pytest.mark.parametrize(
    "subject", ["$JS.API.STREAM.DELETE.INBOX", "$KV.accounts_email.acc_1", "req.email.any.test.v1", "x"]
)
async def test_nothing_is_published_where_no_stream_of_ours_takes_it(js, dlq, subject):
    await js.publish(f"dlq.{subject}", b"{}")
    ended = await dlq("replay", "1")
    assert ended.exit_code == 1
    assert "no subject of a stream of ours" in ended.stderr
    assert len(await stored(js, "DLQ")) == 1
    assert (await js.stream_info("INBOX")).config.name == "INBOX"


async def test_drop_asks_then_deletes_for_good(bus, js, dlq):
    for number in range(3):
        await bury(bus, SENT, event(f"r{number}"))
    await bury(bus, SEND, b"not json")
    assert (await dlq("drop", 1, said="n\n")).exit_code == 1
    assert len(await stored(js, "DLQ")) == 4
    ended = await dlq("drop", 1, said="y\n")
    assert ended.exit_code == 0
    assert ended.stdout.endswith("dropped 1\n")
    assert (await dlq("drop", "--subject", "inbox.>", "--yes")).stdout == "dropped 2\ndropped 3\n"
    assert [subject for subject, _, _ in await stored(js, "DLQ")] == [f"dlq.{SEND}"]
    assert "no dead letters under inbox.>" in (await dlq("drop", "--subject", "inbox.>", "--yes")).stdout


async def test_trouble_is_one_line_and_nothing_is_done(bus, js, dlq):
    sequence = await bury(bus, SENT, event())
    for arguments, said in (
        (("show", 99), "there is no dead letter 99"),
        (("replay", sequence, 99), "there is no dead letter 99"),
        (("drop", sequence, 99, "--yes"), "there is no dead letter 99"),
        (("replay",), "name sequences, or --subject PATTERN"),
        (("drop", sequence, "--subject", ">"), "name sequences, or --subject PATTERN"),
        (("list", "--subject", "a..b"), "is no pattern of subjects"),
        (("list", "--subject", "a.>.b"), "is no pattern of subjects"),
    ):
        ended = await dlq(*arguments)
        assert isinstance(ended.exception, Trouble), (arguments, ended.output)
        assert said in str(ended.exception)
        assert "\n" not in str(ended.exception)
    assert len(await stored(js, "DLQ")) == 1
    assert await stored(js, "INBOX") == []


async def test_no_bus_and_a_bus_without_dead_letters_are_named(js, dlq):
    nowhere = await dlq("list", url="nats://127.0.0.1:9")
    assert "no NATS server answers at nats://127.0.0.1:9" in str(nowhere.exception)
    assert nowhere.output == ""
    await js.delete_stream("DLQ")
    for arguments in (("list",), ("show", 1)):
        assert "kurir topology apply" in str((await dlq(*arguments)).exception)


async def test_two_who_replay_or_drop_the_same_letter_do_it_once(fresh_nats, bus, js):
    first, second = await bury(bus, SENT, event()), await bury(bus, SENT, event("r2"))
    async with dead_letters.opened(fresh_nats.url) as one, dead_letters.opened(fresh_nats.url) as other:
        letter = await one.get(first)
        await asyncio.gather(one.replay(letter), other.replay(letter))
        await one.drop(second)
        with pytest.raises(dead_letters.Gone):
            await other.drop(second)
    assert len(await stored(js, "INBOX")) == 1
    assert await stored(js, "DLQ") == []
