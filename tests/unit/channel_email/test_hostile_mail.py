"""Mail written to keep a parser busy, or to break it: announced in moments, and never in the way of what follows."""

import time
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from channel_email.bodies import as_text, decode, too_deep
from channel_email.folder import Delivery
from channel_email.inbound import Inbound
from channel_email.settings import Settings
from contracts.inbox import Bounced

AT = datetime(2026, 11, 1, tzinfo=UTC)
HEAD = b"From: Ani <ani@example.com>\r\nMessage-ID: <m1@example.com>\r\n"


def read(raw):
    host = SimpleNamespace(account=SimpleNamespace(account_id="acc"))
    started = time.perf_counter()
    reading = Inbound(host, "toko@shop.example", Settings()).read(Delivery(raw, len(raw), AT))
    assert time.perf_counter() - started < 10
    return reading


def nested(levels, lines):
    opening = "".join(f'Content-Type: multipart/mixed; boundary="b{i}"\r\n\r\n--b{i}\r\n' for i in range(levels))
    return HEAD + opening.encode() + b"\r\n\r\n" + b"\r\n" * lines


@pytest.mark.parametrize(
    "raw",
    [
        nested(600, 500_000),
        nested(3_000, 10),
        b'Content-Type: multipart/mixed; boundary="b"\r\n' + HEAD + b"\r\n" + b"--b\r\n\r\n" * 500_000,
        HEAD + b"a:\r\n" * 2_000_000 + b"\r\nx",
        b"From: " + b"(" * 30_000 + b"\r\n\r\nx",
        b"From: " + b"(" * 30_000 + b"\r\n" + nested(3_000, 10),
        b"From: \xff\xfe\x00\r\nTo: " + b"<" * 200_000 + b"\r\n\r\nx",
        b"Subject: " + b"=?utf-8?q?" * 200_000 + b"\r\n\r\nx",
        b"References: " + b"<a" * 1_000_000 + b"\r\n\r\nx",
    ],
    ids=["lines", "depth", "parts", "headers", "comments", "comments and depth", "bytes", "words", "references"],
)
def test_every_mail_is_announced_once_and_in_moments(raw):
    reading = read(raw)
    assert [event.account_id for event in reading.events] == ["acc"]
    assert (reading.dead_letter is not None) == (reading.events[0].stub == "unreadable")


def test_html_too_deep_to_be_cleaned_is_kept_as_a_file_and_its_words_are_shown():
    page = b"<div>" * 200_000 + b"<p>Harga &amp; stok?</p>" + b"</b>" * 200_000
    reading = read(HEAD + b"Content-Type: text/html\r\n\r\n" + page)
    event = reading.events[0]
    assert (event.html, event.text, event.stub) == (None, "Harga & stok?", None)
    assert [(file.filename, len(file.data)) for file in reading.files] == [("message.html", len(page))]


@pytest.mark.parametrize(
    ("page", "deep"),
    [
        ("<div>" * 400, True),
        ("<div></b>" * 400, True),
        ("<table><tr><td>" * 400, True),
        ("<div><p>x</p></div>" * 5_000, False),
        ("<p>x<br><img src=x><li>y" * 5_000, False),
        ("<table><tr><td>x</td></tr></table>" * 5_000, False),
        ("a < b " * 5_000, False),
    ],
)
def test_depth_is_never_underestimated_and_plain_pages_pass(page, deep):
    assert too_deep(page) is deep


def test_charsets_that_cost_their_square_are_not_used():
    started = time.perf_counter()
    assert decode(b"abc-" + b"a9z" * 500_000, "punycode").startswith("abc-")
    assert decode(b"x" * 1_000_000, "zlib") == "x" * 1_000_000
    assert as_text("<br " * 50_000) == ""
    assert time.perf_counter() - started < 10


def test_one_mail_reports_on_a_bounded_number_of_recipients():
    blocks = "".join(
        f"Final-Recipient: rfc822; a{i}@example.com\nAction: failed\nStatus: 5.1.1\n\n" for i in range(5_000)
    )
    raw = (
        "From: mailer-daemon@example.com\nContent-Type: multipart/report; report-type=delivery-status; boundary=x\n\n"
        f"--x\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx\n\n{blocks}--x--\n"
    )
    reading = read(raw.encode())
    assert len(reading.events) == 200
    assert all(isinstance(event, Bounced) and not event.hard for event in reading.events)
