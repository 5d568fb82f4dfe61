"""However bytes are cut into pieces, the same lines and contents come out."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from practice.mail.wire import LineBuffer, ProtocolViolationError, TooLargeError, checked_content


class Transport:
    def __init__(self) -> None:
        self.paused = False

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


def reading(pieces: list[bytes], limit: int = 10_000) -> tuple[bytes, bytes]:
    """The content and the command line after it, read while the pieces come in."""

    async def read() -> tuple[bytes, bytes]:
        buffer = LineBuffer(Transport(), lambda: None)
        for number, piece in enumerate(pieces):
            asyncio.get_running_loop().call_later(number * 0.0001, buffer.feed, piece)
        return await buffer.read_content(limit), await buffer.readline()

    return asyncio.run(asyncio.wait_for(read(), 5))


@given(st.lists(st.sampled_from([b"a", b".", b"..", b"", b"x" * 50, b".."]), max_size=8), st.integers(1, 7))
def test_stuffed_content_survives_any_cutting(lines, size):
    plain = b"".join(line + b"\r\n" for line in lines)
    stuffed = b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines)
    sent = stuffed + b".\r\nMAIL FROM:<a@b.c>\r\n"
    content, line = reading([sent[at : at + size] for at in range(0, len(sent), size)])
    assert checked_content(content) == plain
    assert line == b"MAIL FROM:<a@b.c>\r\n"


@given(st.binary(max_size=60))
def test_checked_content_never_lets_a_bare_break_or_nul_through(junk):
    try:
        content = checked_content(junk + b"\r\n")
    except ProtocolViolationError:
        return
    assert b"\0" not in content
    assert content.count(b"\n") == content.count(b"\r") == content.count(b"\r\n")


@pytest.mark.parametrize("size", [900, 1_100, 100_000])
def test_too_much_content_is_read_to_its_end_without_being_kept(size):
    sent = (b"x" * 98 + b"\r\n") * (size // 100) + b".\r\nNOOP\r\n"

    async def read() -> bytes:
        buffer = LineBuffer(Transport(), lambda: None)
        feeding = asyncio.create_task(feed(buffer))
        with pytest.raises(TooLargeError):
            await buffer.read_content(800)
        await feeding
        return await buffer.readline()

    async def feed(buffer: LineBuffer) -> None:
        for at in range(0, len(sent), 500):
            buffer.feed(sent[at : at + 500])
            await asyncio.sleep(0)

    assert asyncio.run(asyncio.wait_for(read(), 5)) == b"NOOP\r\n"


async def test_a_client_that_sends_too_fast_is_held_back():
    transport = Transport()
    buffer = LineBuffer(transport, lambda: None)
    buffer.feed(b"x" * 300_000)
    assert transport.paused
    reading = asyncio.create_task(buffer.read_content(1_000_000))
    await asyncio.sleep(0)
    assert not transport.paused
    buffer.feed(b"\r\n.\r\n")
    assert len(await reading) == 300_002


async def test_an_end_of_stream_ends_the_wait_and_not_what_already_came():
    buffer = LineBuffer(Transport(), lambda: None)
    buffer.feed(b"NOOP\r\nQUI")
    buffer.feed_eof()
    assert await buffer.readline() == b"NOOP\r\n"
    with pytest.raises(ConnectionResetError):
        await buffer.readline()
