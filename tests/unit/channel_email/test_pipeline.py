"""SMTP groups answered by a script: who is to blame, what is left open, and what is never written."""

import asyncio

import pytest
from channel_email.client import Opened
from channel_email.mime import Composed, Envelope
from channel_email.pipeline import ConnectionLost, Wire, stuffed
from channel_email.sender import EmailSender
from channel_email.settings import Settings
from channel_email.verdicts import Reply, Trouble
from channelkit.protocol import NeedsLogin, OutcomeUnknown, Restricted
from hypothesis import given
from hypothesis import strategies as st
from servicekit.clock import FixedClock
from servicekit.errors import Permanent, Retry


class Script(asyncio.Transport):
    """A server: each write is answered by the next entry; None closes the connection, b"" says nothing."""

    def __init__(self, *answers) -> None:
        super().__init__()
        self.answers, self.written, self.protocol, self.closed = list(answers), [], None, False

    def set_protocol(self, protocol):
        self.protocol = protocol

    def is_closing(self):
        return self.closed

    def write(self, data):
        self.written.append(bytes(data))
        answer = self.answers.pop(0) if self.answers else b""
        asyncio.get_running_loop().call_soon(self.answer, answer)

    def answer(self, answer):
        if answer is None:
            self.close()
        elif answer and not self.closed:
            self.protocol.data_received(answer)

    def close(self):
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    abort = close


class Account:
    """What a sender needs of its session: scripted connections."""

    def __init__(self, *scripts, pipelining=True) -> None:
        self.scripts, self.opened, self.pipelining = list(scripts), [], pipelining
        self.settings = Settings(retry_waits_seconds=[60, 300], command_timeout_seconds=0.3, idle_close_seconds=60)
        self.trouble = Trouble(self.settings)
        self.messages_per_connection, self.send_timeout_seconds = 100, 0.3
        self.accepted = []

    async def connect(self):
        script = self.scripts.pop(0)
        self.opened.append(script)
        return Wire(Opened(script, pipelining=self.pipelining, utf8=False, size_limit=0))

    def compose_now(self, command):
        envelope = Envelope(b"toko@shop.example", f"{command.row}@x.example".encode(), needs_utf8=False)
        return Composed(envelope, f"<{command.row}>", f"Subject: {command.row}\r\n\r\n.\r\n".encode())

    async def compose(self, command):
        return self.compose_now(command)

    def sent(self, command, _composed):
        self.accepted.append(command.row)


class Out:
    def __init__(self, row) -> None:
        self.command, self.claims, self.parts_done = type("C", (), {"row": row, "tries": 0})(), 0, []

    async def claim(self):
        self.claims += 1


OPEN = b"250 ok\r\n250 ok\r\n354 go\r\n"


async def test_replies_in_pieces_and_in_many_lines():
    script = Script(b"")
    wire = Wire(Opened(script, pipelining=True, utf8=False, size_limit=0))
    wire.write(b"x", 2)
    for byte in b"250-first\r\n250-second\r\n250 third\n354 go\r\n":
        script.answer(bytes([byte]))
    assert await wire.reply() == Reply(250, "first second third")
    assert (await wire.reply()).code == 354


async def test_an_answer_nobody_asked_for_ends_the_connection():
    script = Script()
    wire = Wire(Opened(script, pipelining=True, utf8=False, size_limit=0))
    script.answer(b"421 4.4.2 idle for too long\r\n")
    assert not wire.usable
    with pytest.raises(ConnectionLost, match="idle for too long"):
        wire.write(b"MAIL", 1)


@pytest.mark.parametrize("nonsense", [b"hello\r\n", b"x" * 70_000, b"250-" + b"y" * 70_000 + b"\r\n"])
async def test_nonsense_ends_the_connection(nonsense):
    script = Script(nonsense)
    wire = Wire(Opened(script, pipelining=True, utf8=False, size_limit=0))
    wire.write(b"x", 1)
    with pytest.raises(ConnectionLost):
        await asyncio.wait_for(wire.reply(), 1)


async def test_a_refused_recipient_that_still_got_354_is_given_an_empty_content():
    script = Script(
        b"250 ok\r\n550 5.1.1 no\r\n354 go\r\n", b"554 5.5.1 no valid recipients\r\n", OPEN, b"250 kept\r\n"
    )
    account = Account(script)
    sender, refused, good = EmailSender(account), Out("a"), Out("b")
    with pytest.raises(Permanent) as error:
        await sender.send(refused, lambda: None)
    assert error.value.reason == "no_such_recipient"
    assert refused.claims == 0
    assert await sender.send(good, lambda: None) == ["<b>"]
    assert script.written[1] == b".\r\n"
    assert script.written[3] == b"Subject: b\r\n\r\n..\r\n.\r\n"


async def test_a_refused_recipient_that_rode_along_does_not_touch_the_message_before():
    ride = b"250 kept\r\n250 ok\r\n450 4.2.0 later\r\n503 5.5.1 need RCPT\r\n"
    script = Script(OPEN, ride, b"250 reset\r\n", OPEN, b"250 kept\r\n")
    account = Account(script)
    sender, first, second, third = EmailSender(account), Out("a"), Out("b"), Out("c")
    assert await sender.send(first, lambda: second) == ["<a>"]
    with pytest.raises(Retry) as error:
        await sender.send(second, lambda: None)
    assert error.value.after_seconds == 60
    assert (first.claims, second.claims) == (1, 0)
    assert await sender.send(third, lambda: None) == ["<c>"]
    assert script.written[2] == b"RSET\r\n"
    assert b"Subject: b" not in b"".join(script.written)


async def test_the_first_refused_command_decides_and_503_is_nobodys():
    throttled = b"451 4.7.0 too many messages\r\n503 need MAIL\r\n503 need RCPT\r\n"
    account = Account(Script(throttled))
    with pytest.raises(Restricted, match="too many messages"):
        await EmailSender(account).send(Out("a"), lambda: None)


async def test_421_for_what_rode_along_opens_a_new_connection():
    account = Account(Script(OPEN, b"250 kept\r\n421 4.7.0 enough\r\n", None), Script(OPEN, b"250 kept\r\n"))
    sender, second = EmailSender(account), Out("b")
    await sender.send(Out("a"), lambda: second)
    account.opened[0].close()
    assert await sender.send(second, lambda: None) == ["<b>"]
    assert account.accepted == ["a", "b"]
    assert second.claims == 1


@pytest.mark.parametrize("answer", [None, b"", b"250 kept without its line end"])
async def test_no_answer_after_the_content_is_unknown_once(answer):
    account = Account(Script(OPEN, answer), Script(OPEN, b"250 kept\r\n"))
    sender, lost, following = EmailSender(account), Out("a"), Out("b")
    with pytest.raises(OutcomeUnknown):
        await sender.send(lost, lambda: following)
    assert await sender.send(following, lambda: None) == ["<b>"]
    assert (lost.claims, following.claims) == (1, 1)


@pytest.mark.parametrize("answer", [None, b"", b"250 ok\r\n"])
async def test_lost_before_the_content_is_a_try_of_this_message_only(answer):
    account = Account(Script(answer))
    out = Out("a")
    with pytest.raises(Retry) as error:
        await EmailSender(account).send(out, lambda: None)
    assert out.claims == 0
    assert not isinstance(error.value.__cause__, OSError)


async def test_without_pipelining_each_command_waits_for_its_answer():
    script = Script(b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n", b"250 kept\r\n")
    account = Account(script, pipelining=False)
    reserved = []
    await EmailSender(account).send(Out("a"), lambda: reserved.append(1))
    assert script.written[:3] == [b"MAIL FROM:<toko@shop.example>\r\n", b"RCPT TO:<a@x.example>\r\n", b"DATA\r\n"]
    assert reserved == []


async def test_a_cancelled_send_leaves_nothing_open():
    account = Account(Script(OPEN, b""))
    account.send_timeout_seconds = 60
    task = asyncio.create_task(EmailSender(account).send(Out("a"), lambda: None))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert account.opened[0].closed


@given(st.binary(max_size=300).map(lambda raw: raw.replace(b"\r", b"").replace(b"\n", b"\r\n")))
def test_stuffing_ends_exactly_once_and_can_be_undone(raw):
    wire = stuffed(raw)
    assert wire.endswith(b"\r\n.\r\n") or wire == b".\r\n"
    lines = wire.split(b"\r\n")
    end = lines.index(b".")
    assert lines[end:] == [b".", b""]
    undone = b"".join((line[1:] if line.startswith(b".") else line) + b"\r\n" for line in lines[:end])
    assert undone == (raw if raw.endswith(b"\r\n") else raw + b"\r\n")


def test_the_account_waits_longer_each_time_and_connections_that_fail_together_count_once():
    clock = FixedClock()
    trouble = Trouble(Settings(throttle_wait_seconds=30, longest_wait_seconds=100), clock)
    waits = []
    for _ in range(4):
        first, again = trouble.throttled("x"), trouble.throttled("x")
        assert first.until == again.until
        waits.append((first.until - clock.now).total_seconds())
        clock.advance(waits[-1] + 1)
    assert waits == [30, 60, 100, 100]
    trouble.over()
    assert (trouble.throttled("x").until - clock.now).total_seconds() == 30


@pytest.mark.parametrize(
    ("code", "text", "kind", "reason"),
    [
        (550, "5.1.1 no such user", Permanent, "no_such_recipient"),
        (552, "5.2.2 full", Permanent, "mailbox_full"),
        (554, "5.7.1 spam", Permanent, "refused_by_policy"),
        (550, "no code", Permanent, "refused"),
        (451, "4.7.1 greylisted", Retry, None),
        (550, "5.4.5 Daily user sending limit exceeded", Restricted, None),
        (432, "4.3.2 Concurrent connections limit exceeded", Restricted, None),
        (421, "4.7.0 try later", Restricted, None),
        (530, "5.7.0 Authentication required", NeedsLogin, None),
        (554, "5.2.252 SendAsDenied", NeedsLogin, None),
    ],
)
def test_whose_trouble_a_refusal_is(code, text, kind, reason):
    error = Trouble(Settings()).recipient(Reply(code, text), "row", 0)
    assert type(error) is kind
    if reason:
        assert error.reason == reason
        assert error.detail == f"{code} {text}"
