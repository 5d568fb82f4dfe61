"""Incoming mail as events: replies, bounces, complaints, auto-replies, and mail that nobody can read."""

import random
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from types import SimpleNamespace

import pytest
from channel_email.folder import Delivery
from channel_email.inbound import Inbound
from channel_email.settings import Settings
from contracts.inbox import Bounced, Delivered, Received

OURS = "<kurir.0.row1@shop.example>"
AT = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def read():
    host = SimpleNamespace(account=SimpleNamespace(account_id="acc"))
    inbound = Inbound(host, "toko@shop.example", Settings(inbound_limit_bytes=25_000_000))

    def run(raw, size=None):
        data = raw.as_bytes(policy=SMTP) if isinstance(raw, EmailMessage) else raw
        return inbound.read(Delivery(data, size or len(data), AT))

    return run


def mail(text="Halo", **headers):
    message = EmailMessage()
    given = {"From": "Ani <ani@example.com>", "To": "toko@shop.example", "Message_ID": "<m1@example.com>"} | headers
    for name, value in given.items():
        message[name.replace("_", "-")] = value
    message.set_content(text)
    return message


def only(reading):
    assert len(reading.events) == 1
    return reading.events[0]


def test_a_reply_leads_back_to_its_row(read):
    event = only(read(mail(In_Reply_To=OURS, References=f"<x@y> {OURS}", Subject="Re: Halo")))
    assert isinstance(event, Received)
    assert (event.answers_row, event.conversation, event.sender.name) == ("row1", "ani@example.com", "Ani")
    assert event.references == ["<x@y>", OURS]
    assert (event.text, event.auto_reply, event.own, event.at) == ("Halo", False, False, AT)


def test_ids_of_rows_from_outside_are_understood(read):
    assert only(read(mail(References="<kurir.3.crm.order-17@shop.example>"))).answers_row == "crm.order-17"


def test_the_same_message_id_with_another_content_is_another_message(read):
    assert read(mail("satu")).id != read(mail("dua")).id
    assert read(mail("satu")).id == read(mail("satu")).id


@pytest.mark.parametrize(
    "headers",
    [
        {"Auto-Submitted": "auto-replied"},
        {"Auto-Submitted": "auto-generated (vacation)"},
        {"Precedence": "auto_reply"},
        {"X-Autoreply": "yes"},
        {"X-Auto-Response-Suppress": "All"},
    ],
)
def test_auto_replies_are_marked(read, headers):
    assert only(read(mail(In_Reply_To=OURS, **headers))).auto_reply


def test_auto_submitted_no_is_a_person(read):
    assert not only(read(mail(**{"Auto-Submitted": "no"}))).auto_reply


def test_the_copy_of_our_own_message_is_ignored_and_the_owners_own_is_not(read):
    assert read(mail(From="Toko <TOKO@shop.example>", Message_ID=OURS)).events == []
    event = only(read(mail(From="toko@shop.example", To="ani@example.com")))
    assert event.own
    assert event.conversation == "ani@example.com"


def dsn(
    action="failed", status="5.1.1", original=f"Message-ID: {OURS}\r\nSubject: Halo\r\n", kind="text/rfc822-headers"
):
    return (
        "From: Mail Delivery System <MAILER-DAEMON@mx.example>\r\nTo: toko@shop.example\r\nSubject: Undelivered\r\n"
        "Message-ID: <d1@mx.example>\r\nMIME-Version: 1.0\r\nDate: Sun, 01 Nov 2026 10:00:00 +0700\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n"
        f"Final-Recipient: rfc822; ani@example.com\r\nAction: {action}\r\nStatus: {status}\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 No such\r\n user here\r\n\r\n"
        f"--b\r\nContent-Type: {kind}\r\n\r\n{original}\r\n--b--\r\n"
    ).encode()


@pytest.mark.parametrize("kind", ["text/rfc822-headers", "message/rfc822"])
def test_a_hard_bounce(read, kind):
    event = only(read(dsn(kind=kind)))
    assert isinstance(event, Bounced)
    assert (event.row, event.address, event.hard, event.status) == ("row1", "ani@example.com", True, "5.1.1")
    assert event.diagnostic == "550 5.1.1 No such user here"
    assert event.at == datetime(2026, 11, 1, 3, tzinfo=UTC)


def test_a_soft_bounce_a_delay_and_a_success(read):
    assert not only(read(dsn(status="4.2.2"))).hard
    delayed = read(dsn(action="delayed", status="4.4.1"))
    assert delayed.events == []
    assert delayed.notes
    success = only(read(dsn(action="delivered", status="2.1.5")))
    assert isinstance(success, Delivered)
    assert success.row == "row1"


def test_a_report_that_names_no_message_of_ours_silences_nobody(read):
    event = only(read(dsn(original="Message-ID: <other@x>\r\n")))
    assert event.row is None
    assert not event.hard


def test_a_complaint(read):
    raw = (
        "From: fbl@mx.example\r\nTo: toko@shop.example\r\nMessage-ID: <f1@mx.example>\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=feedback-report; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nAbuse.\r\n"
        "--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nUser-Agent: x/1\r\nVersion: 1\r\n"
        "Original-Rcpt-To: <ani@example.com>\r\n\r\n"
        f"--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: toko@shop.example\r\nMessage-ID: {OURS}\r\n\r\nHalo\r\n--b--\r\n"
    )
    event = only(read(raw.encode()))
    assert (event.kind, event.address, event.row, event.hard) == ("complaint", "ani@example.com", "row1", True)
    assert read(raw.replace("Feedback-Type: abuse", "Feedback-Type: not-spam").encode()).events == []


def test_the_older_form_of_a_bounce(read):
    raw = mail(
        "550 5.1.1 no such user\n" + OURS,
        From="Mailer-Daemon@mx.example",
        X_Failed_Recipients="ani@example.com",
        References=OURS,
    )
    event = only(read(raw))
    assert (event.kind, event.row, event.hard, event.status) == ("bounce", "row1", True, "5.1.1")


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("iso-8859-1", "Gr\u00fc\u00dfe"),
        ("utf-8", "\u6d4b\u8bd5"),
        ("shift_jis", "\u3053\u3093"),
        ("koi8-r", "\u041f\u0440"),
    ],
)
def test_every_charset_is_decoded(read, charset, text):
    raw = f"From: a@b.c\r\nContent-Type: text/plain; charset={charset}\r\n\r\n".encode() + text.encode(charset)
    assert only(read(raw)).text == text


def test_unknown_and_wrong_charsets_still_give_a_text(read):
    for charset in ("x-nonsense", "utf-8", "ascii"):
        raw = f"From: a@b.c\r\nContent-Type: text/plain; charset={charset}\r\n\r\n".encode() + b"Gr\xfc\xdfe"
        assert only(read(raw)).text == "Gr\u00fc\u00dfe"


def test_html_is_cleaned_and_its_words_are_the_text(read):
    raw = b"From: a@b.c\r\nContent-Type: text/html\r\n\r\n<p>Halo<br>dunia</p><script>x()</script><a onclick=y href='javascript:z'>k</a>"
    event = only(read(raw))
    assert "script" not in event.html
    assert "onclick" not in event.html
    assert event.text.splitlines()[:2] == ["Halo", "dunia"]


def test_files_keep_their_names_and_bytes(read):
    message = mail()
    message.add_attachment(b"\x00\x01" * 100, maintype="application", subtype="pdf", filename="h\u00e4rga/../x.pdf")
    reading = read(message)
    assert [(one.filename, one.data) for one in reading.files] == [("h\u00e4rga_.._x.pdf", b"\x00\x01" * 100)]


def test_a_5_mb_mail_is_fine_and_a_long_text_travels_as_a_file(read):
    event, reading = None, read(mail("kata " * 1_000_000))
    event = only(reading)
    assert event.stub is None
    assert len(event.model_dump_json()) < 800_000
    assert [(one.filename, len(one.data) > 4_900_000) for one in reading.files] == [("message.txt", True)]


def test_too_large_and_unreadable_are_stubs_and_dead_letters(read):
    head = b"From: Ani <ani@example.com>\r\nSubject: Besar\r\nMessage-ID: <big@x>\r\n\r\n"
    reading = read(head, size=30_000_000)
    event = only(reading)
    assert (event.stub, event.subject, event.sender.address) == ("too_large", "Besar", "ani@example.com")
    assert reading.dead_letter == (head, "too_large: 30000000 bytes")
    depth = 3000
    bomb = b"From: ani@example.com\r\n" + b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(depth)
    )
    reading = read(bomb)
    assert only(reading).stub == "unreadable"
    assert reading.dead_letter[0] == bomb


def test_no_bytes_whatsoever_break_the_reader(read):
    chance = random.Random(7)
    sample = dsn()
    for _ in range(400):
        raw = bytearray(sample if chance.random() < 0.5 else mail().as_bytes(policy=SMTP))
        for _ in range(chance.randrange(30)):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        for event in read(bytes(raw)).events:
            event.model_dump_json()
