"""For tests: an SMTP conversation byte by byte, where a client library would be too polite."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self, TypeVar

TIMEOUT_SECONDS = 10
T = TypeVar("T")


@dataclass(slots=True)
class SmtpWire:
    """One raw SMTP connection; the greeting has been read."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    @asynccontextmanager
    async def open(cls, host: str, port: int, context: ssl.SSLContext | None = None) -> AsyncIterator[Self]:
        """Connect, over TLS from the start where a context is given. Raises ConnectionError when cut off."""
        reader, writer = await asyncio.open_connection(host, port, ssl=context)
        wire = cls(reader, writer)
        try:
            await wire.reply()
            yield wire
        finally:
            writer.close()

    async def send(self, data: bytes) -> None:
        """Write exactly these bytes."""
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self) -> str:
        """Return the next reply, lines joined by newlines. Raises ConnectionResetError at the end."""
        lines = []
        while True:
            line = await asyncio.wait_for(self.reader.readline(), TIMEOUT_SECONDS)
            if not line:
                raise ConnectionResetError("the server hung up")
            lines.append(line.decode().rstrip("\r\n"))
            if line[3:4] != b"-":
                return "\n".join(lines)

    async def ask(self, data: bytes, replies: int = 1) -> list[str]:
        """Write these bytes in one piece and return so many replies."""
        await self.send(data)
        return [await self.reply() for _ in range(replies)]

    async def starttls(self, context: ssl.SSLContext, server_hostname: str = "localhost") -> str:
        """Encrypt the connection after EHLO; return the reply to STARTTLS."""
        (answer,) = await self.ask(b"STARTTLS\r\n")
        await self.writer.start_tls(context, server_hostname=server_hostname)
        return answer

    async def login(self, user: str, password: str = "secret") -> str:
        """Say EHLO and AUTH PLAIN; return the reply to AUTH."""
        await self.ask(b"EHLO client.test\r\n")
        given = base64.b64encode(f"\0{user}\0{password}".encode())
        (answer,) = await self.ask(b"AUTH PLAIN " + given + b"\r\n")
        return answer

    async def closed(self) -> bool:
        """Whether the server has closed the connection; waits for it at most ten seconds."""
        try:
            return await asyncio.wait_for(self.reader.read(), TIMEOUT_SECONDS) == b""
        except ConnectionError:
            return True


async def eventually(probe: Callable[[], Awaitable[T]], timeout_seconds: float = TIMEOUT_SECONDS) -> T:
    """Return the first true value of the probe. Raises TimeoutError."""
    async with asyncio.timeout(timeout_seconds):
        while True:
            found = await probe()
            if found:
                return found
            await asyncio.sleep(0.02)
