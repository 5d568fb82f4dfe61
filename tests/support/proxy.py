"""A TCP proxy between two of our processes: it passes, cuts, swallows or delays what goes through."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of zero seconds: closing sends RST instead of FIN."""


class Proxy:
    """One port on 127.0.0.1 before another; a thread and loop of its own, so a busy test does not slow it.

    A fault lasts until `heal`. What a black hole swallowed is delivered when it heals, as TCP would: late, not never.
    """

    def __init__(self, port: int) -> None:
        """*port*: where the real server listens, on 127.0.0.1."""
        self.target, self.port = port, 0
        self.opened = 0
        self._delay = 0.0
        self._refusing = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._passing = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy to {port}", daemon=True)

    def start(self) -> None:
        """Listen; `port` is known afterwards."""
        self._thread.start()
        self._call(self._listen)

    def stop(self) -> None:
        """Cut everything and end the thread."""
        self.cut()
        self._call(self._close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Reset every connection, and each new one at once."""
        self._call(self._cut)

    def black_hole(self) -> None:
        """Keep and accept connections, but let nothing through."""
        self._call(self._set, passing=False)

    def delay(self, seconds: float) -> None:
        """Hold every piece for so long, each way."""
        self._call(self._set, seconds=seconds)

    def heal(self) -> None:
        """Let everything pass again."""
        self._call(self._set)

    def _call(self, do: Callable[..., Awaitable[None]], **given: Any) -> None:
        asyncio.run_coroutine_threadsafe(_awaited(do, given), self._loop).result(10)

    async def _set(self, *, passing: bool = True, seconds: float = 0.0) -> None:
        self._refusing, self._delay = False, seconds
        if passing:
            self._passing.set()
        else:
            self._passing.clear()

    async def _cut(self) -> None:
        self._refusing = True
        for writer in list(self._writers):
            _reset(writer)

    async def _listen(self) -> None:
        self._passing.set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        if self._refusing:
            return _reset(writer)
        await self._passing.wait()
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            return _reset(writer)
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        return None

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while data := await reader.read(65_536):
                if self._delay:
                    await asyncio.sleep(self._delay)
                await self._passing.wait()
                writer.write(data)
                await writer.drain()
            await self._passing.wait()
        except (OSError, asyncio.IncompleteReadError):
            _reset(writer)  # the other side shall see that it broke, not that it ended
        finally:
            self._writers.discard(writer)
            writer.close()


async def _awaited(do: Callable[..., Awaitable[None]], given: dict[str, Any]) -> None:
    await do(**given)


def _reset(writer: asyncio.StreamWriter) -> None:
    found = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


@contextlib.contextmanager
def proxied(port: int) -> Iterator[Proxy]:
    """Run a proxy before *port* of 127.0.0.1 until the block ends."""
    proxy = Proxy(port)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
