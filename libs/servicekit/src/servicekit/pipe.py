"""Acknowledged publishing many at a time: everything written is heard of, by the server's answer or by an error.

`publish_async` of nats-py 2.16 loses API errors and leaks permits (nats.py#985), hence our own.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any

import nats.errors
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import api
from nats.js import errors as js_errors

from servicekit.direct import Delivery, Direct, block, hpub, pub

Acknowledgement = asyncio.Future[api.PubAck]
Answer = asyncio.Future[bytes]
Heard = Callable[[Delivery | None, Exception | None], None]
"""Hears the server's answer as it came (`stored` and `acknowledgement` read it), or why there is none. Called once."""

_UNFIT = re.compile(r"[\s\x00-\x1f\x7f]")


class Pipe:
    """Publishes many at a time, replies arriving on one inbox."""

    def __init__(self, nc: Client, window: int = 1_000, timeout: float = 5.0) -> None:
        """*window*: how many `publish` lets wait for their answer; *timeout*: seconds until one counts as unanswered."""
        self._nc, self._timeout = nc, timeout
        self._direct = Direct(nc)
        self._loop = asyncio.get_running_loop()
        self._permits = asyncio.Semaphore(window)
        self._waiting: dict[int, tuple[float, Heard]] = {}
        """By number, and so in the order they were asked: who has waited longest stands first."""
        self._count = 0
        self._prefix = b""
        self._replies: Subscription | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Subscribe to the answers; nats-py does so again after a reconnect."""
        prefix = f"{self._nc.new_inbox()}."
        self._prefix = prefix.encode()
        self._replies = await self._direct.subscribe(f"{prefix}*", self._on_reply)

    async def stop(self) -> None:
        """Fail what still waits."""
        if self._timer is not None:
            self._timer.cancel()
        waiting, self._waiting = self._waiting, {}
        for _, heard in waiting.values():
            self._refuse(heard, nats.errors.ConnectionClosedError())
        replies, self._replies = self._replies, None
        if replies is not None and self._nc.is_connected:
            await replies.unsubscribe()

    def post(  # called for each write of a lane
        self, subject: bytes, payload: bytes, heard: Heard, head: bytes = b"", *, soon: bool = False
    ) -> None:
        """Send, and let *heard* hear the answer; nothing waits. *head*: headers as `direct.block` makes them.

        *soon*: nobody waits for it, so that it may leave along with the next one.
        The caller bounds how many are out. Errors: nats' NoStreamResponseError, TimeoutError (the outcome is then
        unknown: read back), MaxPayloadError, and ConnectionReconnectingError at once while NATS is away.
        """
        direct = self._direct
        if direct.away:  # what nats-py buffers while away would be applied on return, unasked
            return self._refuse(heard, nats.errors.ConnectionReconnectingError())
        if len(head) + len(payload) > self._nc.max_payload:
            return self._refuse(heard, nats.errors.MaxPayloadError())
        self._count = count = self._count + 1
        self._waiting[count] = self._loop.time() + self._timeout, heard
        if self._timer is None:
            self._timer = self._loop.call_later(self._timeout, self._expire)
        reply = b"%b%d" % (self._prefix, count)
        command = hpub(subject, reply, head, payload) if head else pub(subject, reply, payload)
        (direct.write_soon if soon else direct.write)(command)
        return None

    async def publish(
        self, subject: str, payload: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Acknowledgement:
        """Send and return a future of the acknowledgement; waits only while the window is full.

        The future raises nats' APIError, NoStreamResponseError or TimeoutError (the outcome is then unknown: read back);
        ConnectionReconnectingError at once while NATS is away.
        """
        return await self._send(subject, payload, headers, acknowledgement)

    async def ask(self, subject: str, payload: bytes = b"") -> Answer:
        """Send a request and return a future of whatever answers, such as the server to `+ACK` (an acknowledged ack).

        The future raises nats' NoRespondersError or TimeoutError.
        """
        return await self._send(subject, payload, None, answered)

    async def _send(
        self, subject: str, payload: bytes, headers: Mapping[str, str] | None, read: Callable[[Delivery], Any]
    ) -> asyncio.Future[Any]:
        topic, head = subject.encode(), block(headers) if headers else b""  # raises before a place is taken
        await self._permits.acquire()
        future: asyncio.Future[Any] = self._loop.create_future()
        future.add_done_callback(self._settled)
        if _UNFIT.search(subject) or not subject:
            future.set_exception(nats.errors.BadSubjectError())
            return future

        def heard(answer: Delivery | None, error: Exception | None) -> None:
            if not future.done():
                _resolve(future, answer, error, read)

        self.post(topic, payload, heard, head)
        await self._direct.drained()
        return future

    def _settled(self, done: asyncio.Future[Any]) -> None:
        self._permits.release()
        if not done.cancelled():
            done.exception()  # a caller that does not look must not cause a warning at exit

    def _refuse(self, heard: Heard, error: Exception) -> None:
        """Tell one, later: what it raises must not keep the others from hearing."""
        self._loop.call_soon(heard, None, error)

    def _on_reply(self, answer: Delivery) -> None:
        waiting = self._waiting.pop(int(answer.subject[len(self._prefix) :]), None)
        if waiting is None:
            return
        if answer.head and answer.status == b"503":
            waiting[1](None, js_errors.NoStreamResponseError())
        else:
            waiting[1](answer, None)

    def _expire(self) -> None:
        self._timer, loop = None, self._loop
        while self._waiting:
            number, (until, heard) = next(iter(self._waiting.items()))
            if until > loop.time():
                self._timer = loop.call_at(until, self._expire)
                return
            del self._waiting[number]
            self._refuse(heard, nats.errors.TimeoutError())


def stored(answer: Delivery | None) -> bool:
    """Return whether a stream took the message: an answer that is no refusal."""
    return answer is not None and b'"error"' not in answer.data


def answered(answer: Delivery) -> bytes:
    """Return what was answered."""
    return answer.data


def _resolve(
    future: asyncio.Future[Any], answer: Delivery | None, error: Exception | None, read: Callable[[Delivery], Any]
) -> None:
    if answer is None:
        future.set_exception(error or nats.errors.TimeoutError())
        return
    try:
        future.set_result(read(answer))
    except Exception as refused:
        future.set_exception(refused)


def acknowledgement(answer: Delivery | Msg) -> api.PubAck:
    """Return what a stream acknowledged. Raises nats' APIError."""
    found = orjson.loads(answer.data)
    if "error" in found:
        js_errors.APIError.from_error(found["error"])  # raises
    return api.PubAck(found["stream"], found["seq"], found.get("domain"), found.get("duplicate"))
