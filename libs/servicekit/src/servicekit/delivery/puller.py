"""Pulls a durable consumer, one request ahead of the handler: while a batch is handled the next one comes in."""

import asyncio
import contextlib
import time
from collections import deque
from typing import TYPE_CHECKING

import orjson
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from servicekit.direct import Delivery, Direct, pub

if TYPE_CHECKING:
    from servicekit.bus import Bus

EXPIRES_SECONDS = 5.0
_REST_SECONDS = 1.0
_GONE_PAUSE_SECONDS = 1.0
_MOST_BYTES = 16 << 20
"""Of one request: thousands of events are small, mails may be large."""
_OVER = frozenset({b"404", b"408"})
"""Statuses that end a request in peace: nothing there, or not within its time."""
_OVER_IN_WORDS = (b"Batch Completed", b"MaxBytes")
"""So do these, said with a 409: what a server says of every request that is limited in bytes."""


class Puller:
    """The messages of one consumer. `missing` is set where the consumer may be gone."""

    def __init__(
        self, bus: "Bus", stream: str, durable: str, batch: int, *, linger_seconds: float = 0, urgent: str = ""
    ) -> None:
        """*linger_seconds*: how long the first message of a batch waits for others; one whose subject holds *urgent* never does."""
        self._bus, self._batch, self._linger, self._urgent = bus, batch, linger_seconds, urgent.encode()
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}".encode()
        self._buffer: deque[Delivery] = deque()
        self._arrived, self._enough = asyncio.Event(), asyncio.Event()
        self._asked, self._until, self._pause = 0, 0.0, 0.0
        self._inbox = b""
        self._replies: Subscription | None = None
        self.missing = asyncio.Event()
        bus.on_reconnect(self._begin_anew)

    async def start(self) -> None:
        """Subscribe to the answers; nats-py does so again after a reconnect."""
        inbox = self._bus.nc.new_inbox()
        self._inbox, self._direct = inbox.encode(), Direct(self._bus.nc)
        self._replies = await self._direct.subscribe(inbox, self._on)
        self._asked = 0

    async def stop(self) -> None:
        """Pull no more, and give back what was pulled and not taken."""
        if self._replies is not None:
            await self._direct.end(self._replies)
            self._replies = None
        if self._bus.connected:
            self._direct.write(b"".join([pub(one.reply, b"", b"-NAK") for one in self._buffer]))
        self._buffer.clear()

    async def next(self, stopping: asyncio.Event) -> list[Msg]:
        """Return up to a batch of messages; none after a second without any, or when *stopping*."""
        await self._bus.link.wait()
        self._ask()
        if not self._buffer:
            self._arrived.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), _REST_SECONDS)
        if self._buffer:
            await self._gather()
        if stopping.is_set():
            return []
        taken = [self._message(self._buffer.popleft()) for _ in range(min(self._batch, len(self._buffer)))]
        self._ask()
        return taken

    async def _gather(self) -> None:
        """Let the first message wait for others: a write for many costs little more than a write for one."""
        self._enough.clear()
        if not self._linger or self._is_enough():
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._enough.wait(), self._linger)

    def _is_enough(self) -> bool:
        return len(self._buffer) >= self._batch or any(map(self._hurries, self._buffer))

    def _hurries(self, one: Delivery) -> bool:
        return bool(self._urgent) and self._urgent in one.subject

    def _ask(self) -> None:
        """Have one request out, unless a whole batch lies here; one whose end was lost is given up."""
        now = time.monotonic()
        if self._asked and now < self._until:
            return
        room = self._batch - len(self._buffer)
        if room <= 0 or now < self._pause or not self._bus.connected or self._replies is None:
            return
        self._asked, self._until = room, now + EXPIRES_SECONDS + 1
        wanted = orjson.dumps({"batch": room, "expires": int(EXPIRES_SECONDS * 1e9), "max_bytes": _MOST_BYTES})
        self._direct.write(pub(self._subject, self._inbox, wanted))

    def _on(self, one: Delivery) -> None:
        if one.status:
            self._ended(one)
            return
        self._buffer.append(one)
        self._asked = max(0, self._asked - 1)
        self._arrived.set()
        if len(self._buffer) >= self._batch or self._hurries(one):
            self._enough.set()

    def _ended(self, one: Delivery) -> None:
        self._asked = 0
        if one.status in _OVER or any(words in one.head for words in _OVER_IN_WORDS):
            self._arrived.set()  # ask again
            return
        self._pause = time.monotonic() + _GONE_PAUSE_SECONDS  # deleted, moving, or never made: the watchdog looks
        self.missing.set()

    async def _begin_anew(self) -> None:
        """The server forgot the request with the connection."""
        self._asked = 0
        self._arrived.set()

    def _message(self, one: Delivery) -> Msg:
        return Msg(self._bus.nc, one.subject.decode(), one.reply.decode(), one.data, _headers(one.head))


def _headers(head: bytes) -> dict[str, str]:
    """Return a block of headers as a dict; of a name given twice the last value."""
    found: dict[str, str] = {}
    for line in head.decode("utf-8", "surrogateescape").split("\r\n")[1:]:
        name, colon, value = line.partition(":")
        if colon:
            found[name.strip()] = value.strip()
    return found
