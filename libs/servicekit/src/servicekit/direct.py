"""The short way through nats-py: commands written as ready bytes, messages handed over from its read loop.

nats-py 2.16 gives each subscription a queue and a task and reads every message's headers into a dict: some 30 us a
message, a third of what an e-mail costs. Connecting, signing in, TLS, pings and reconnecting stay nats-py's; its private
names are used here, in `nats_repairs.py` and for the connection's state in `bus.py`;
`tests/integration/servicekit/test_direct.py` says when a new version moves them.
"""
# ruff: noqa: SLF001  # see above

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import ProtocolError
from nats.protocol.parser import Parser

from servicekit.logs import get_logger

_log = get_logger("servicekit.direct")
_ACK_WORDS = 9
_WRITTEN_SECONDS = 5.0
_SOON_SECONDS = 0.005
_MESSAGES = frozenset({b"MSG", b"HMSG"})
_BREAKS = str.maketrans({"\r": " ", "\n": " "})
_LONGEST_LINE = 64 * 1024
"""An INFO of a large cluster names every server."""


class Delivery(NamedTuple):
    """A message as it came; nothing of it is read before it is needed."""

    subject: bytes
    reply: bytes
    head: bytes
    data: bytes

    @property
    def status(self) -> bytes:
        """Return the status of a message without content, such as 503: nobody answers; else nothing."""
        return self.head[9:12] if self.head[8:9] == b" " else b""

    def header(self, name: bytes) -> bytes | None:
        """Return a header's value; *name* as the sender writes it."""
        start = self.head.find(b"\r\n" + name + b":")
        if start < 0:
            return None
        start += len(name) + 3
        return self.head[start : self.head.index(b"\r\n", start)].strip()

    async def message(self, nc: Client) -> Msg:
        """Return the message as nats-py's own."""
        headers = await nc._process_headers(self.head) if self.head else None
        msg: Msg = nc._build_message(0, self.subject, self.reply, self.data, headers)
        return msg


Handler = Callable[[Delivery], None]


def position(reply: bytes) -> tuple[int, int]:
    """Return (stream sequence, messages left) from the reply subject of a JetStream delivery, in either of its forms.

    Raises ValueError for any other subject.
    """
    words = reply.split(b".")
    if not reply.startswith(b"$JS.ACK.") or len(words) < _ACK_WORDS:
        raise ValueError(f"not a delivery of JetStream: {reply!r}")
    first = 4 if len(words) == _ACK_WORDS else 6  # the longer form names domain and account before stream and consumer
    return int(words[first + 1]), int(words[first + 4])


class DirectParser(Parser):
    """Reads the protocol; messages of a direct subscription go to its handler at once, everything else nats-py's way."""

    def __init__(self, nc: Client) -> None:
        self.handlers: dict[int, Handler] = {}
        self._resets = 0
        super().__init__(nc)

    def reset(self) -> None:
        """Forget what was half read: the connection is a new one."""
        super().reset()
        self._rest = bytearray()
        self._wanted = 0
        self._resets += 1

    async def parse(self, data: bytes = b"") -> None:
        """Take what was read from the connection."""
        if self.nc.is_reconnecting or self.nc.is_closed:
            return  # read from the old connection after the reset; it would stand before the new one's first bytes
        if self._rest:
            self._rest += data
            if len(self._rest) < self._wanted:
                return
            data = bytes(self._rest)
            self._rest.clear()
        self._wanted = 0
        resets = self._resets
        try:
            taken = await self._take(data)
        except (ValueError, IndexError) as error:  # any other error would end nats-py's read loop, unnoticed for 9 s
            raise ProtocolError from error
        if taken < len(data) and resets == self._resets:
            self._rest += data[taken:]

    async def _take(self, data: bytes) -> int:
        """Hand over what is complete; return where the rest begins."""
        at, size, handlers = 0, len(data), self.handlers
        while (end := data.find(b"\r\n", at)) >= 0:
            words = data[at:end].split()
            if not words or words[0] not in _MESSAGES:
                line, at = data[at : end + 2], end + 2
                await super().parse(line)
                continue
            body, stop = end + 2, end + 2 + int(words[-1])
            if stop + 2 > size:
                self._wanted = stop + 2 - at
                return at
            at = stop + 2
            has_head = words[0] == b"HMSG"
            payload = body + int(words[-2]) if has_head else body
            reply = words[3] if len(words) == 5 + has_head else b""
            sid = int(words[2])
            if (handler := handlers.get(sid)) is None:
                head = data[body:payload] if has_head else None
                await self.nc._process_msg(sid, words[1], reply, data[payload:stop], head)
                continue
            try:
                handler(Delivery(words[1], reply, data[body:payload], data[payload:stop]))
            except Exception as error:  # a handler that fails must not end the connection
                _log.error("a message was not taken", subject=words[1].decode(), exc_info=error)
        if size - at > _LONGEST_LINE:
            raise ProtocolError
        return at


class Direct:
    """One connection's short way. Make it once connected; there is one per connection."""

    def __init__(self, nc: Client) -> None:
        self.nc = nc
        parser = nc._ps if isinstance(nc._ps, DirectParser) else DirectParser(nc)
        if parser is not nc._ps:
            parser._rest += nc._ps.buf
            nc._ps = parser
        self._handlers = parser.handlers
        self._loop = asyncio.get_running_loop()
        self._soon: asyncio.TimerHandle | None = None

    async def subscribe(self, subject: str, handler: Handler) -> Subscription:
        """Have messages handed to *handler* as they are read; nats-py subscribes again after a reconnect."""
        subscription = await self.nc.subscribe(subject)
        self._handlers[subscription._id] = handler
        return subscription

    async def end(self, subscription: Subscription) -> None:
        """Unsubscribe; on return every message the server had sent has been handed over. Raises nats' errors, TimeoutError."""
        try:
            if self.nc.is_connected:
                await self._written(b"UNSUB %d\r\n" % subscription._id)
                await subscription.drain()  # type: ignore[no-untyped-call]
            else:
                await subscription.unsubscribe()
        finally:
            self._handlers.pop(subscription._id, None)
            self.nc._remove_sub(subscription._id)  # a drain that fails would have it subscribed again

    async def _written(self, command: bytes) -> None:
        """Write a command, and wait until the connection has it: nats-py's PING overtakes whatever has not left yet.

        Raises TimeoutError after 5 s: where nats-py's flusher has ended nobody would ever answer.
        """
        nc, done = self.nc, self._loop.create_future()
        nc._pending.append(command)
        nc._pending_data_size += len(command)
        if nc._flush_queue is not None:
            async with asyncio.timeout(_WRITTEN_SECONDS):
                await nc._flush_queue.put(done)
                await done

    @property
    def away(self) -> bool:
        """Return whether what is written now would only leave after a reconnect."""
        return self.nc._status != Client.CONNECTED

    def write(self, command: bytes) -> None:
        """Write a command with the others of this moment. nats-py keeps it while the connection is `away`."""
        nc = self.nc
        nc._pending.append(command)
        nc._pending_data_size += len(command)
        queue = nc._flush_queue
        if queue is not None and queue.empty():
            queue.put_nowait(self._loop.create_future())

    def write_soon(self, command: bytes) -> None:
        """Write a command nobody waits for, along with the next one or within 5 ms."""
        nc = self.nc
        nc._pending.append(command)
        nc._pending_data_size += len(command)
        if self._soon is None:
            self._soon = self._loop.call_later(_SOON_SECONDS, self._flush)

    def _flush(self) -> None:
        self._soon = None
        if self.nc._pending_data_size:
            self.write(b"")

    async def drained(self) -> None:
        """Wait while more is written than the connection takes."""
        nc = self.nc
        if nc._pending_data_size > nc._max_pending_size > 0:
            await nc._flush_pending(force_flush=True)


def pub(subject: bytes, reply: bytes, payload: bytes) -> bytes:
    """Return the command that publishes *payload*."""
    return b"PUB %b %b %d\r\n%b\r\n" % (subject, reply, len(payload), payload)


def hpub(subject: bytes, reply: bytes, head: bytes, payload: bytes) -> bytes:
    """Return the command that publishes *payload* with a block of headers, as `block` makes it."""
    size = len(head)
    return b"HPUB %b %b %d %d\r\n%b%b\r\n" % (subject, reply, size, size + len(payload), head, payload)


def block(headers: Mapping[str, str]) -> bytes:
    """Return headers as they stand on the wire; a line break in a value becomes a space."""
    lines = [f"{name}: {value.translate(_BREAKS)}\r\n" for name, value in headers.items()]
    return b"NATS/1.0\r\n" + "".join(lines).encode() + b"\r\n"
