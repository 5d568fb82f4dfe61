"""SMTP past the greeting, on a connection that aiosmtplib opened: whole groups written at once (RFC 2920).

aiosmtplib cannot send `content(n) . MAIL RCPT DATA(n+1)` as one group; that one round trip per message is what makes
bulk mail fast. What is written here is encoded by us: see `stuffed`.
"""

import asyncio
import functools
from collections import deque

from servicekit.deadline import Deadline

from channel_email.client import Opened
from channel_email.mime import Envelope
from channel_email.verdicts import Reply

_LONGEST_REPLY = 64 * 1024


class ConnectionLost(Exception):  # noqa: N818  # what happened, not whose fault it is
    """The connection ended before the answer; whether what was written arrived is not known."""


def stuffed(raw: bytes) -> bytes:
    """Return content as it goes over the wire: dots at line starts doubled, ended by a dot on a line of its own."""
    doubled = raw.replace(b"\r\n.", b"\r\n..")
    return (b"." if raw.startswith(b".") else b"") + doubled + (b".\r\n" if raw.endswith(b"\r\n") else b"\r\n.\r\n")


class Wire(asyncio.Protocol):
    """Commands out, answers in, in the order they were asked for."""

    def __init__(self, opened: Opened) -> None:
        self.pipelining, self.utf8, self.size_limit = opened.pipelining, opened.utf8, opened.size_limit
        self.transactions = 0
        """Envelopes opened on this connection."""
        self._transport = opened.transport
        self._rest = b""
        self._lines: list[str] = []
        self._replies: deque[Reply] = deque()
        self._expected = 0
        self._ignored = 0
        self._wanted = 1
        self._waiter: asyncio.Future[None] | None = None
        self._lost: str | None = None
        self._loop = asyncio.get_running_loop()
        self.deadline = Deadline()
        """For whoever waits for an answer of this connection."""
        opened.transport.set_protocol(self)

    @property
    def usable(self) -> bool:
        """Return whether the connection can still be written to."""
        return self._lost is None and not self._transport.is_closing()

    def write(self, data: bytes, replies: int) -> None:
        """Write a group that will have so many answers. Raises ConnectionLost."""
        if not self.usable:
            raise ConnectionLost(self._lost or "the connection is closed")
        self._expected += replies
        self._transport.write(data)

    def clear(self, data: bytes) -> None:
        """Write what ends a transaction nobody waits for; its answer is passed over. Raises ConnectionLost.

        May be called only when every answer asked for has been read.
        """
        self.write(data, 1)
        self._ignored += 1

    async def reply(self) -> Reply:
        """Return the next answer. Raises ConnectionLost."""
        return (await self.replies(1))[0]

    async def replies(self, count: int) -> list[Reply]:
        """Return the next answers, once all of them are there. Raises ConnectionLost."""
        self._wanted = count + self._ignored
        while len(self._replies) < self._wanted:
            if self._lost is not None:
                raise ConnectionLost(self._lost)
            self._waiter = self._loop.create_future()
            await self._waiter
        for _ in range(self._ignored):
            self._replies.popleft()
        self._ignored = 0
        return [self._replies.popleft() for _ in range(count)]

    async def command(self, line: bytes) -> Reply:
        """Write one command and return its answer. Raises ConnectionLost."""
        self.write(line + b"\r\n", 1)
        return await self.reply()

    def quit(self) -> None:
        """Say good-bye where nothing is open, and close without waiting."""
        if self.usable and not self._expected:
            self._transport.write(b"QUIT\r\n")
            self._lost = "closed"
            self.deadline.close()
            self._transport.close()
        else:
            self.drop("closed")

    def drop(self, why: str) -> None:
        """Cut the connection at once, unsent bytes included: the server discards an unfinished content."""
        if self._lost is None:
            self._lost = why
        self._transport.abort()
        self.deadline.close()
        self._wake()

    def data_received(self, data: bytes) -> None:
        """Gather answers; one that nobody asked for ends the connection (a server that says good-bye)."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(line.rstrip(b"\r"))
        if len(self._rest) + sum(map(len, self._lines)) > _LONGEST_REPLY:
            self.drop("an endless answer")
        if len(self._replies) >= self._wanted:
            self._wake()

    def _line(self, line: bytes) -> None:
        read = _read(line)
        if read is None:
            self.drop(f"not an SMTP answer: {line.decode('utf-8', 'replace')[:200]}")
            return
        reply, last = read
        if self._lines or not last:
            self._lines.append(reply.text)
            if not last:
                return
            reply, self._lines = Reply(reply.code, " ".join(self._lines)), []
        if not self._expected:
            self.drop(reply.words)
            return
        self._expected -= 1
        self._replies.append(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits; answers that came before are still read."""
        if self._lost is None:
            self._lost = str(exc) if exc else "the server closed the connection"
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


@functools.lru_cache(maxsize=256)
def _read(line: bytes) -> tuple[Reply, bool] | None:
    """Return a line of an answer and whether it is the last; None where it is none. Servers repeat themselves."""
    if not (line[:3].isdigit() and len(line) >= 3 and line[3:4] in (b"", b" ", b"-")):
        return None
    return Reply(int(line[:3]), line.decode("utf-8", "replace")[4:].strip()), line[3:4] != b"-"


class Transaction:
    """One envelope on a wire: opened, judged, and then either given its content or dropped."""

    def __init__(self, wire: Wire, envelope: Envelope, timeout: float) -> None:
        self.wire, self.envelope = wire, envelope
        self._timeout = timeout
        self._written = False
        self.open = False
        """The server waits for content (354)."""

    @property
    def group(self) -> bytes:
        """Return MAIL, RCPT and DATA as one group."""
        return self.envelope.mail + b"\r\n" + self.envelope.rcpt + b"\r\nDATA\r\n"

    def ride_along(self, content: bytes) -> None:
        """Write the content of the message before and this envelope at once: 1 + 3 answers. Raises ConnectionLost."""
        self.wire.write(content + self.group, 4)
        self._written = True

    async def begin(self) -> tuple[Reply | None, Reply | None]:
        """Send the envelope (unless it rode along) and return (MAIL's refusal, RCPT's or DATA's refusal).

        The first refused command decides; the 503 that follow are nobody's. Raises ConnectionLost, TimeoutError.
        """
        self.wire.transactions += 1
        with self.wire.deadline(self._timeout):
            return await (self._as_group() if self.wire.pipelining else self._one_by_one())

    async def _as_group(self) -> tuple[Reply | None, Reply | None]:
        wire = self.wire
        if not self._written:
            wire.write(self.group, 3)
            self._written = True
        mail, rcpt, data = await wire.replies(3)
        self.open = data.code == 354
        return self._verdict(mail, rcpt, data)

    async def _one_by_one(self) -> tuple[Reply | None, Reply | None]:
        wire = self.wire
        mail = await wire.command(self.envelope.mail)
        if not mail.ok:
            return mail, None
        rcpt = await wire.command(self.envelope.rcpt)
        if not rcpt.ok:
            self._clear(b"RSET\r\n")
            return None, rcpt
        data = await wire.command(b"DATA")
        self.open = data.code == 354
        return self._verdict(mail, rcpt, data)

    def _verdict(self, mail: Reply, rcpt: Reply, data: Reply) -> tuple[Reply | None, Reply | None]:
        if mail.ok and rcpt.ok and self.open:
            return None, None
        # 354 without a recipient: an empty content, which the server refuses; else what it knows so far is forgotten.
        self._clear(b".\r\n" if self.open else b"RSET\r\n")
        self.open = False
        if not mail.ok:
            return mail, None
        return None, data if rcpt.ok else rcpt

    def _clear(self, data: bytes) -> None:
        if self.wire.usable:
            self.wire.clear(data)
