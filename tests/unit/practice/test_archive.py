"""Counting is what the platform is trusted for."""

import pytest
from practice.mail.archive import Archive, message_id_of


def filled(*ids: str, keep_contents: int = 10, keep_bytes: int = 1_000) -> Archive:
    archive = Archive(keep_contents, keep_bytes)
    for message_id in ids:
        head = f"Message-ID: {message_id}\r\n" if message_id else ""
        archive.add(head.encode() + b"\r\nx", "a@x.test", ["B@x.test"], None, 1)
    return archive


def test_a_duplicate_is_every_copy_beyond_the_first():
    counts = filled("<a>", "<a>", "<b>", "<a>").counts()
    assert (counts["received"], counts["distinct_message_ids"], counts["duplicates"]) == (4, 2, 2)


def test_mail_without_an_id_is_no_duplicate_of_another():
    counts = filled("", "", "<a>").counts()
    assert (counts["distinct_message_ids"], counts["without_message_id"], counts["duplicates"]) == (1, 2, 0)


def test_an_id_asked_for_twice_is_counted_once():
    counted = filled("<a>", "<a>").counts_of(["<a>", "<a>", "<b>"])
    assert (counted["received"], counted["copies"], counted["duplicates"]) == (1, 2, 1)


@pytest.mark.parametrize(("keep_contents", "keep_bytes"), [(2, 1_000), (10, 2 * len(b"Message-ID: <a>\r\n\r\nx"))])
def test_contents_are_bounded_by_number_and_bytes(keep_contents, keep_bytes):
    archive = filled("<a>", "<b>", "<c>", keep_contents=keep_contents, keep_bytes=keep_bytes)
    assert [archive.content(n) is None for n in (1, 2, 3)] == [True, False, False]
    assert archive.record(1).message_id == "<a>"
    assert archive.record(4) is None


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"Message-ID: <a@b>\r\n\r\n", "<a@b>"),
        (b"Subject: x\r\nMESSAGE-ID:<a@b>\r\n\r\nbody", "<a@b>"),
        (b"message-id:\r\n  <a@b>\r\n\r\n", "<a@b>"),
        (b"Message-ID: <a@b>", "<a@b>"),
        (b"Subject: x\r\n\r\nMessage-ID: <in-the-body>\r\n", ""),
        (b"Message-ID:\r\nSubject: x\r\n\r\n", ""),
        (b"X-Message-ID: <x>\r\n\r\n", ""),
        (b"", ""),
    ],
)
def test_the_message_id_is_read_from_the_header_alone(content, found):
    assert message_id_of(content) == found
