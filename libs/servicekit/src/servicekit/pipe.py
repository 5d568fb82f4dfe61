"""Acknowledged publishing many at a time: every future resolves, to the server's answer or to an error.

`publish_async` of nats-py 2.16 loses API errors and leaks permits (nats.py#985), hence our own.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import nats.errors
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import api
from nats.js import errors as js_errors

Acknowledgement = asyncio.Future[api.PubAck]
Answer = asyncio.Future[Msg]


class Pipe:
    """Publishes with a bounded number of unanswered messages, replies arriving on one inbox."""

    def __init__(self, nc: Client, window: int = 1_000, timeout: float = 5.0) -> None:
        """*window*: how many may wait for their answer; *timeout*: seconds until one counts as unanswered."""
        self._nc, self._timeout = nc, timeout
        self._permits = asyncio.Semaphore(window)
        self._waiting: dict[str, tuple[asyncio.Future[Any], Callable[[Msg], Any]]] = {}
        self._count = 0
        self._prefix = ""
        self._replies: Subscription | None = None

    async def start(self) -> None:
        """Subscribe to the answers; nats-py does so again after a reconnect."""
        self._prefix = f"{self._nc.new_inbox()}."
        self._replies = await self._nc.subscribe(f"{self._prefix}*", cb=self._on_reply, pending_msgs_limit=1_000_000)

    async def stop(self) -> None:
        """Fail what still waits."""
        for waiting, _ in list(self._waiting.values()):
            if not waiting.done():
                waiting.set_exception(nats.errors.ConnectionClosedError())
        if self._replies is not None and self._nc.is_connected:
            await self._replies.unsubscribe()

    async def publish(
        self, subject: str, payload: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Acknowledgement:
        """Send and return a future of the acknowledgement; waits only while the window is full.

        The future raises nats' APIError, NoStreamResponseError or TimeoutError (the outcome is then unknown: read back);
        ConnectionReconnectingError at once while NATS is away.
        """
        return await self._send(subject, payload, headers, _acknowledgement)

    async def ask(self, subject: str, payload: bytes = b"") -> Answer:
        """Send a request and return a future of whatever answers, such as the server to `+ACK` (an acknowledged ack).

        The future raises nats' NoRespondersError or TimeoutError.
        """
        return await self._send(subject, payload, None, _answer)

    async def _send(
        self, subject: str, payload: bytes, headers: Mapping[str, str] | None, read: Callable[[Msg], Any]
    ) -> asyncio.Future[Any]:
        await self._permits.acquire()
        key, future = self._register(read)
        if not self._nc.is_connected:  # what nats-py buffers while away would be applied on return, unasked
            future.set_exception(nats.errors.ConnectionReconnectingError())
            return future
        try:
            await self._nc.publish(
                subject, payload, reply=self._prefix + key, headers=dict(headers) if headers else None
            )
        except Exception as error:
            if not future.done():
                future.set_exception(error)
        return future

    def _register(self, read: Callable[[Msg], Any]) -> tuple[str, asyncio.Future[Any]]:
        self._count += 1
        key = str(self._count)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        timer = loop.call_later(self._timeout, _expire, future)

        def settled(done: asyncio.Future[Any]) -> None:
            timer.cancel()
            self._waiting.pop(key, None)
            self._permits.release()
            if not done.cancelled():
                done.exception()  # a caller that does not look must not cause a warning at exit

        future.add_done_callback(settled)
        self._waiting[key] = future, read
        return key, future

    async def _on_reply(self, msg: Msg) -> None:
        future, read = self._waiting.get(msg.subject.rpartition(".")[2], (None, _answer))
        if future is None or future.done():
            return
        try:
            future.set_result(read(msg))
        except Exception as error:
            future.set_exception(error)


def _answer(msg: Msg) -> Msg:
    if (msg.headers or {}).get("Status") == "503":
        raise nats.errors.NoRespondersError
    return msg


def _acknowledgement(msg: Msg) -> api.PubAck:
    if (msg.headers or {}).get("Status") == "503":
        raise js_errors.NoStreamResponseError
    answer = orjson.loads(msg.data)
    if "error" in answer:
        js_errors.APIError.from_error(answer["error"])  # raises
    return api.PubAck(answer["stream"], answer["seq"], answer.get("domain"), answer.get("duplicate"))


def _expire(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_exception(nats.errors.TimeoutError())
