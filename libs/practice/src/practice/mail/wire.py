"""The strict reading of SMTP's bytes: what a careful server refuses, said in one place."""

import asyncio
from collections.abc import Callable

#: RFC 4954 section 4: an AUTH line may be this long.
COMMAND_LIMIT = 12_288
LINE_LIMIT = 998
_HIGH_WATER = 1 << 18
_END = b"\r\n.\r\n"


class ProtocolViolationError(Exception):
    """What the client sent breaks the protocol; `answer` is the reply it deserves."""

    def __init__(self, kind: str, answer: str) -> None:
        super().__init__(kind)
        self.kind, self.answer = kind, answer


class TooLargeError(Exception):
    """The content went over the size limit; it was read to its end and thrown away."""


class LineBuffer:
    """The bytes a client sent that nobody has read yet.

    It stands where aiosmtpd keeps its StreamReader, because the strict rules need to know what came
    in the same group as a command, and because a line of SMTP ends with CRLF and nothing else.
    """

    def __init__(self, transport: asyncio.Transport, before_wait: Callable[[], None]) -> None:
        self._transport = transport
        self._buffer = bytearray()
        self._arrived = asyncio.Event()
        self._before_wait = before_wait
        self._paused = self._ended = False

    def use(self, transport: asyncio.Transport) -> None:
        """Go on with another transport: the connection was encrypted."""
        self._transport = transport

    def feed_eof(self) -> None:
        """Nothing more will come; what has come is still read."""
        self._ended = True
        self._arrived.set()

    def feed(self, data: bytes) -> None:
        """Take what arrived; the client is held back while too much lies unread."""
        self._buffer += data
        self._arrived.set()
        if len(self._buffer) > _HIGH_WATER and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    @property
    def pending(self) -> bool:
        """Whether the client has sent anything beyond what was read."""
        return bool(self._buffer)

    async def readline(self) -> bytes:
        """Return the next command line with its CRLF.

        Raises ProtocolViolationError for a bare CR or LF, a NUL, or a line that does not end.
        """
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > COMMAND_LIMIT:
                raise ProtocolViolationError("command line too long", "500 5.5.2 Line too long")
            await self._more()
        line = self._take(end + 1)
        if not line.endswith(b"\r\n") or line.find(b"\r") != len(line) - 2:
            raise ProtocolViolationError("bare CR or LF in a command", "500 5.5.2 Lines end with CRLF")
        if b"\0" in line:
            raise ProtocolViolationError("NUL in a command", "500 5.5.2 NUL is not allowed")
        if len(line) > COMMAND_LIMIT:
            raise ProtocolViolationError("command line too long", "500 5.5.2 Line too long")
        return line

    async def read_content(self, limit: int) -> bytes:
        """Return the content after DATA without its final dot, dots still doubled.

        Raises TooLargeError once content over the limit (bytes) has ended.
        """
        if await self._is_empty_content():
            return b""
        searched = dropped = 0
        while (end := self._buffer.find(_END, searched)) < 0:
            searched = max(0, len(self._buffer) - len(_END) + 1)
            if len(self._buffer) > limit:
                del self._buffer[:searched]
                dropped, searched = dropped + searched, 0
            await self._more()
        content = self._take(end + len(_END))[:-3]
        if dropped or len(content) > limit:
            raise TooLargeError
        return content

    async def _is_empty_content(self) -> bool:
        while len(self._buffer) < 3 and b".\r\n".startswith(self._buffer):
            await self._more()
        if self._buffer.startswith(b".\r\n"):
            self._take(3)
            return True
        return False

    def _take(self, length: int) -> bytes:
        taken = bytes(memoryview(self._buffer)[:length])
        del self._buffer[:length]
        return taken

    async def _more(self) -> None:
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        self._before_wait()
        if self._ended:
            raise ConnectionResetError
        self._arrived.clear()
        await self._arrived.wait()


def checked_content(stuffed: bytes) -> bytes:
    """Return the content with its doubled dots undone.

    Raises ProtocolViolationError for a bare CR or LF, a NUL, or a line over 998 octets.
    """
    breaks = stuffed.count(b"\r\n")
    if stuffed.count(b"\n") != breaks or stuffed.count(b"\r") != breaks:
        raise ProtocolViolationError("bare CR or LF in content", "554 5.6.0 Bare CR or LF is not allowed")
    if b"\0" in stuffed:
        raise ProtocolViolationError("NUL in content", "554 5.6.0 NUL is not allowed")
    if stuffed.startswith(b"."):
        stuffed = stuffed[1:]
    content = stuffed.replace(b"\r\n.", b"\r\n") if b"\r\n." in stuffed else stuffed
    if len(content) > LINE_LIMIT and max(map(len, content.split(b"\r\n"))) > LINE_LIMIT:
        raise ProtocolViolationError("line over 998 octets", "554 5.6.0 Line over 998 octets")
    return content
