"""What a careful server refuses, the practice server refuses too, and tells."""

import pytest
from practice.mail import MailPlatform, MailSettings
from practice.testing import SmtpWire, eventually

ENVELOPE = b"MAIL FROM:<anna@practice.test>\r\nRCPT TO:<u1@example.test>\r\nDATA\r\n"
HEADER = b"Message-ID: <one@test>\r\nSubject: x\r\n\r\n"


async def kinds(mail) -> list[str]:
    return [one["kind"] for one in await mail.violations()]


async def test_a_pipelined_session_delivers_each_message_once(wire, mail):
    """Content, then the next envelope up to DATA, in one write: what RFC 2920 allows."""
    assert [one[:3] for one in await wire.ask(ENVELOPE, 3)] == ["250", "250", "354"]
    second = b"Message-ID: <two@test>\r\n\r\n..dots\r\n.\r\n"
    assert [one[:3] for one in await wire.ask(HEADER + b"hi\r\n.\r\n" + ENVELOPE, 4)] == ["250", "250", "250", "354"]
    assert [one[:3] for one in await wire.ask(second + b"QUIT\r\n", 2)] == ["250", "221"]
    assert await mail.message_ids() == {"<one@test>": 1, "<two@test>": 1}
    assert (await mail.message(2))["raw"].endswith(b"\r\n\r\n.dots\r\n")
    assert await kinds(mail) == []


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"a\nb\r\n", "bare CR or LF in content"),
        (b"a\rb\r\n", "bare CR or LF in content"),
        (b"a\n.\nMAIL FROM:<x@y.test>\r\n", "bare CR or LF in content"),
        (b"a\0b\r\n", "NUL in content"),
        (b"x" * 999 + b"\r\n", "line over 998 octets"),
    ],
)
async def test_bad_content_is_refused_and_recorded(wire, mail, body, kind):
    await wire.ask(ENVELOPE, 3)
    (answer,) = await wire.ask(HEADER + body + b".\r\n")
    assert answer.startswith("554 5.6.0")
    assert await kinds(mail) == [kind]
    assert (await mail.counts())["received"] == 0
    assert [one[:3] for one in await wire.ask(ENVELOPE, 3)] == ["250", "250", "354"]


async def test_a_line_of_998_octets_and_a_doubled_dot_before_it_is_accepted(wire, mail):
    await wire.ask(ENVELOPE, 3)
    (answer,) = await wire.ask(HEADER + b".." + b"x" * 997 + b"\r\n.\r\n")
    assert answer.startswith("250")
    assert (await mail.message(1))["raw"] == HEADER + b"." + b"x" * 997 + b"\r\n"


@pytest.mark.parametrize(
    "group",
    [
        ENVELOPE + HEADER + b"hi\r\n.\r\n",
        b"EHLO again.test\r\nMAIL FROM:<anna@practice.test>\r\n",
        b"NOOP\r\nNOOP\r\n",
    ],
)
async def test_a_command_sent_before_its_turn_ends_the_connection(wire, mail, group):
    await wire.send(group)
    answers = []
    while not (answers and answers[-1].startswith("503")):
        answers.append(await wire.reply())
    assert await wire.closed()
    assert "not the last command of its group" in (await kinds(mail))[0]
    assert (await mail.counts())["received"] == 0


@pytest.mark.parametrize("line", [b"NOOP\n", b"NOOP a\rb\r\n", b"MAIL FROM:<a\0b@c.test>\r\n", b"x" * 20_000])
async def test_a_malformed_command_line_ends_the_connection(wire, mail, line):
    (answer,) = await wire.ask(line)
    assert answer.startswith("500")
    assert await wire.closed()
    assert len(await mail.violations()) == 1


async def test_content_over_the_size_limit_is_refused_after_its_end(wire, mail):
    await wire.ask(ENVELOPE, 3)
    line = b"x" * 98 + b"\r\n"
    (answer,) = await wire.ask(HEADER + line * 15_000 + b".\r\n")
    assert answer.startswith("552")
    (declared,) = await wire.ask(b"MAIL FROM:<anna@practice.test> SIZE=2000000\r\n")
    assert declared.startswith("552")
    assert (await mail.counts())["received"] == 0


async def test_content_that_arrived_whole_counts_although_the_client_is_gone(wire, mail):
    await wire.ask(ENVELOPE, 3)
    await wire.send(HEADER + b"hi\r\n.\r\n")
    wire.writer.transport.abort()
    await eventually(mail.message_ids)
    assert await mail.message_ids() == {"<one@test>": 1}


async def test_half_a_content_does_not_count(wire, mail):
    await wire.ask(ENVELOPE, 3)
    await wire.send(HEADER + b"hi\r\n.\r")
    wire.writer.close()
    await wire.writer.wait_closed()
    assert (await mail.counts())["received"] == 0


async def test_mail_without_auth_is_refused(platform, mail):
    async with SmtpWire.open(platform.ports.host, platform.ports.smtp) as wire:
        await wire.ask(b"EHLO client.test\r\n")
        (answer,) = await wire.ask(b"MAIL FROM:<anna@practice.test>\r\n")
        assert answer.startswith("530")


async def test_auth_before_tls_is_refused_and_recorded():
    async with MailPlatform(MailSettings()) as platform, SmtpWire.open("127.0.0.1", platform.ports.smtp) as wire:
        (announced,) = await wire.ask(b"EHLO client.test\r\n")
        assert "AUTH" not in announced
        assert "STARTTLS" in announced
        assert (await wire.login("anna@practice.test")).startswith("538")
        assert [one.kind for one in platform.journal.violations] == ["AUTH without TLS"]


async def test_an_address_outside_ascii_needs_smtputf8(wire):
    (answer,) = await wire.ask("MAIL FROM:<ànna@practice.test>\r\n".encode())
    assert answer.startswith("553")
    (answer,) = await wire.ask("MAIL FROM:<ànna@practice.test> SMTPUTF8\r\n".encode())
    assert answer.startswith("250")
