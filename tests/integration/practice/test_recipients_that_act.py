"""Recipients reply, bounce, complain, unsubscribe: by their address, with real mail."""

import asyncio
from email.parser import BytesParser
from email.policy import default

import pytest
from practice.testing import eventually

HEADERS = b"From: Anna <anna@practice.test>\r\nSubject: =?utf-8?q?Promo_h=C3=A9?=\r\nMessage-ID: <m1@t>\r\nReferences: <m0@t>\r\n"


async def deliver(wire, to: str, extra: bytes = b"") -> list[str]:
    start = f"MAIL FROM:<anna@practice.test>\r\nRCPT TO:<{to}>\r\nDATA\r\n".encode()
    answers = await wire.ask(start, 3)
    if answers[1].startswith("250"):
        answers += await wire.ask(HEADERS + extra + b"\r\nbody\r\n.\r\n")
    return answers


async def at_least(count: int, call) -> list:
    found = await call
    return found if len(found) >= count else []


async def inbox(platform, mail, count: int = 1) -> list:
    """The parsed mail of anna's INBOX, once so many have come."""
    await eventually(lambda: at_least(count, mail.mailbox("anna")))
    contents = await platform.mailboxes.contents("anna@practice.test", "INBOX")
    assert len(contents) == count
    return [BytesParser(policy=default).parsebytes(raw) for _, raw in contents]


@pytest.mark.parametrize("to", ["reply@example.test", "reply-12@example.test", "u7+reply@example.test"])
async def test_reply_answers_in_the_thread(platform, mail, wire, to):
    await deliver(wire, to)
    (answer,) = await inbox(platform, mail)
    assert answer["In-Reply-To"] == "<m1@t>"
    assert answer["References"] == "<m0@t> <m1@t>"
    assert answer["Subject"] == "Re: Promo hé"
    assert to in answer["From"]
    assert answer["Message-ID"] not in {"", "<m1@t>"}
    assert "Auto-Submitted" not in answer


@pytest.mark.parametrize(("to", "status"), [("bounce-1@example.test", "5.1.1"), ("softbounce-1@example.test", "4.2.2")])
async def test_bounce_sends_a_delivery_report(platform, mail, wire, to, status):
    await deliver(wire, to)
    (report,) = await inbox(platform, mail)
    assert report.get_content_type() == "multipart/report"
    assert report["Content-Type"].params["report-type"] == "delivery-status"
    text, delivery, original = report.iter_parts()
    per_message, per_recipient = delivery.get_payload()
    assert per_message["Reporting-MTA"] == "dns; example.test"
    assert per_recipient["Final-Recipient"] == f"rfc822; {to}"
    assert (per_recipient["Action"], per_recipient["Status"]) == ("failed", status)
    assert "Message-ID: <m1@t>" in original.get_content()
    assert to in text.get_content()


async def test_complain_sends_an_abuse_report(platform, mail, wire):
    await deliver(wire, "complain-1@example.test")
    (report,) = await inbox(platform, mail)
    assert report["Content-Type"].params["report-type"] == "feedback-report"
    assert [part.get_content_type() for part in report.iter_parts()] == [
        "text/plain", "message/feedback-report", "text/rfc822-headers",
    ]  # fmt: skip
    assert b"Feedback-Type: abuse" in report.as_bytes()


async def test_autoreply_marks_itself(platform, mail, wire):
    await deliver(wire, "autoreply-1@example.test")
    (answer,) = await inbox(platform, mail)
    assert answer["Auto-Submitted"] == "auto-replied"
    assert answer["In-Reply-To"] == "<m1@t>"


@pytest.mark.parametrize(("to", "code"), [("reject-1@example.test", "550"), ("tempfail@example.test", "451")])
async def test_some_recipients_are_refused(mail, wire, to, code):
    answers = await deliver(wire, to)
    assert [one[:3] for one in answers] == ["250", code, "503"]
    assert (await mail.counts())["received"] == 0


@pytest.mark.parametrize("to", ["replying@example.test", "noreply@example.test", "rebounce-me@example.test"])
async def test_others_just_receive(mail, wire, to):
    await deliver(wire, to)
    assert (await mail.counts())["received"] == 1
    assert await mail.reactions() == []


async def test_unsubscribe_posts_once_and_keeps_the_status(mail, wire):
    seen = []

    async def answer(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        seen.append((head.split(b"\r\n")[0], await reader.readexactly(length)))
        writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    offer = f"List-Unsubscribe: <mailto:x@y.test>,\r\n <http://127.0.0.1:{port}/u/t0>\r\n".encode()
    async with server:
        await deliver(
            wire, "unsubscribe-1@example.test", offer + b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
        )
        await deliver(wire, "unsubscribe-2@example.test", offer)
        await eventually(lambda: at_least(2, mail.unsubscribes()))
    assert seen == [(b"POST /u/t0 HTTP/1.1", b"List-Unsubscribe=One-Click")]
    by_recipient = {one["recipient"]: one for one in await mail.unsubscribes()}
    assert by_recipient["unsubscribe-1@example.test"]["status"] == 202
    assert by_recipient["unsubscribe-2@example.test"]["status"] is None
    assert "no one-click" in by_recipient["unsubscribe-2@example.test"]["error"]


async def test_a_reply_to_nobody_is_told_and_harms_nothing(mail, wire):
    start = b"MAIL FROM:<anna@practice.test>\r\nRCPT TO:<reply@example.test>\r\nDATA\r\n"
    await wire.ask(start, 3)
    await wire.ask(b"Subject: \xff\xfe broken\r\nFrom: @@@;;\r\n\r\nx\r\n.\r\n")
    await deliver(wire, "reply-2@example.test")
    first, second = await eventually(lambda: at_least(2, mail.reactions()))
    assert first["error"]
    assert (second["to"], second["error"]) == ("anna@practice.test", None)
