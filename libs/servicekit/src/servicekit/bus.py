"""The one connection to NATS: FastStream declares the fixed subscriptions, `delivery` pulls them; JetStream for all else."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

import nats.errors
from contracts.base import Message
from contracts.headers import MSG_ID, cloud_event
from faststream.nats import NatsBroker
from nats.aio.client import Client
from nats.js import JetStreamContext
from pydantic import BaseModel

from servicekit import nats_repairs, tracing
from servicekit.bus_errors import translated
from servicekit.clock import utcnow
from servicekit.direct import Direct, block
from servicekit.errors import Unavailable
from servicekit.logs import get_logger
from servicekit.metrics import PUBLISHED
from servicekit.pipe import Pipe
from servicekit.settings import ServiceSettings

Callback = Callable[[], Awaitable[None]]
Payload = Message | BaseModel | bytes

_log = get_logger("servicekit.bus")
_MOST_HEADERS = 16 * 1024


class Bus:
    """One connection per process. `start` returns at once and connects in the background, for ever."""

    def __init__(self, settings: ServiceSettings) -> None:
        """Prepare; nothing is opened yet."""
        from servicekit.delivery.policy import delivery_policy  # noqa: PLC0415  # the policy publishes on this bus

        self.settings = settings
        self.source = settings.service
        self._starting: asyncio.Task[None] | None = None
        self._pipe: Pipe | None = None
        self._direct: Direct | None = None
        self._js: JetStreamContext | None = None
        self._reconnect_callbacks: list[Callback] = []
        self._starts: list[Callback] = []
        self.subscriptions: list[Any] = []
        self._stops: list[Callback] = []
        self.link = asyncio.Event()
        self.ready = asyncio.Event()
        self._stopping = False
        self.problem: str | None = "not started"
        self.last_ok: datetime | None = None
        self.broker = NatsBroker(
            [url.strip() for url in settings.nats_url.split(",")],
            name=f"{settings.service}/{settings.instance_id}",
            connect_timeout=2,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.25,  # type: ignore[arg-type]  # nats-py takes fractions
            ping_interval=3,
            max_outstanding_pings=2,
            error_cb=self._on_error,
            disconnected_cb=self._on_disconnect,
            reconnected_cb=self._on_reconnect,
            middlewares=(delivery_policy(self),),
            apply_types=False,
            graceful_timeout=5.0,
            logger=None,
        )

    @property
    def nc(self) -> Client:
        """The nats-py connection. Raises Unavailable before the first connect."""
        connection = self.broker._connection  # noqa: SLF001  # FastStream's own accessor raises AssertionError
        if connection is None:
            raise Unavailable("NATS is not connected")
        return connection

    @property
    def js(self) -> JetStreamContext:
        """The JetStream context. Raises Unavailable before the first connect."""
        if self._js is None:
            raise Unavailable("NATS is not connected")
        return self._js

    @property
    def pipe(self) -> Pipe:
        """The acknowledged pipe. Raises Unavailable before the first connect."""
        if self._pipe is None:
            raise Unavailable("NATS is not connected")
        return self._pipe

    @property
    def direct(self) -> Direct:
        """The short way for what is hot. Raises Unavailable before the first connect."""
        if self._direct is None:
            raise Unavailable("NATS is not connected")
        return self._direct

    @property
    def connected(self) -> bool:
        """Return whether a publish could leave now."""
        return self._direct is not None and not self._direct.away

    def require(self) -> None:
        """Raise Unavailable unless connected: what nats-py buffers while away would be applied later, unasked."""
        if not self.connected:
            raise Unavailable("NATS is not connected")

    async def start(self) -> None:
        """Connect, and start the declared subscriptions, in the background and until it succeeds."""
        self._stopping = False
        if self._starting is None:
            self._starting = asyncio.create_task(self._connect(), name="bus start")

    async def wait_connected(self, timeout: float = 10.0) -> None:
        """Return once connected. Raises Unavailable after *timeout* seconds."""
        try:
            await asyncio.wait_for(self.link.wait(), timeout)
        except TimeoutError as error:
            raise Unavailable(f"NATS did not answer within {timeout:g} s") from error

    async def wait_ready(self, timeout: float = 10.0) -> None:
        """Return once every declared subscription runs. Raises Unavailable with the reason after *timeout* seconds."""
        try:
            await asyncio.wait_for(self.ready.wait(), timeout)
        except TimeoutError as error:
            raise Unavailable(self.problem or "subscriptions did not start") from error

    async def stop(self) -> None:
        """Stop the subscriptions and close the connection; never raises while NATS is away."""
        self._stopping = True
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        for callback in reversed(self._stops):
            await _survive(callback(), "stopping a subscription")
        if self._pipe is not None:
            await _survive(self._pipe.stop(), "stopping the pipe")
        connection = self.broker._connection  # noqa: SLF001
        if connection is not None and not connection.is_connected:
            await _survive(connection.close(), "closing NATS")  # draining would wait for a server that is away
            self.broker._connection = None  # noqa: SLF001
        await _survive(asyncio.wait_for(self.broker.stop(), 5), "stopping the broker")
        self.link.clear()
        self.ready.clear()
        self._js = self._pipe = self._direct = self._starting = None

    def on_reconnect(self, callback: Callback) -> None:
        """Call *callback* after every reconnect (not after the first connect)."""
        self._reconnect_callbacks.append(callback)

    def on_start(self, callback: Callback, on_stop: Callback | None = None) -> None:
        """Run *callback* once connected, again each second until it does not raise; how subscriptions begin."""
        self._starts.append(callback)
        if on_stop is not None:
            self._stops.append(on_stop)

    async def publish(
        self,
        subject: str,
        message: Payload,
        *,
        msg_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 5.0,
    ) -> int:
        """Publish to the stream of *subject* and return the sequence the stream acknowledged.

        Raises Unavailable where NATS is away, the stream full, or the answer late (it may then have been stored: publish
        again with the same *msg_id*), Permanent("too_large") over the server's payload limit.
        """
        self.require()
        data, all_headers = self.envelope(message, msg_id, headers)
        with translated(subject):
            self._fits(data, all_headers)
            ack = await self.js.publish(subject, data, timeout=timeout, headers=all_headers)
        PUBLISHED.labels(subject.split(".", 1)[0]).inc()
        return ack.seq

    async def request(self, subject: str, message: Payload, timeout: float = 5.0) -> bytes:
        """Ask whoever answers on *subject*. Raises Unavailable when nobody does within *timeout* seconds."""
        self.require()
        data, headers = self.envelope(message)
        headers.pop(MSG_ID, None)
        with translated(subject):
            self._fits(data, headers)
            return bytes((await self.nc.request(subject, data, timeout=timeout, headers=headers)).data)

    async def hint(self, subject: str, message: Payload, headers: Mapping[str, str] | None = None) -> None:
        """Tell whoever listens now; dropped silently while NATS is away."""
        if self.connected:
            data, all_headers = self.envelope(message, headers=headers)
            all_headers.pop(MSG_ID, None)
            with contextlib.suppress(nats.errors.Error):
                await self.nc.publish(subject, data, headers=all_headers)

    def envelope(
        self, message: Payload, msg_id: str | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[bytes, dict[str, str]]:
        """Return payload and headers: CloudEvents (with *msg_id*, or a new id), trace context, then the given ones."""
        made: dict[str, str] = {}
        if isinstance(message, Message):
            made = cloud_event(message, msg_id or tracing.new_id(), self.source)
        if msg_id is not None:
            made[MSG_ID] = msg_id
        data = message if isinstance(message, bytes) else message.model_dump_json().encode()
        return data, {**made, tracing.TRACEPARENT: tracing.child(), **(headers or {})}

    def _fits(self, data: bytes, headers: Mapping[str, str]) -> None:
        """Raise MaxPayloadError where the server would end the connection: it counts headers, nats-py does not."""
        if len(data) > self.nc.max_payload - _MOST_HEADERS and len(data) + len(block(headers)) > self.nc.max_payload:
            raise nats.errors.MaxPayloadError

    async def _connect(self) -> None:
        while True:
            try:
                await self.broker.connect()
                await self._open()
                break
            except Exception as error:
                await self._on_error(error)
                await asyncio.sleep(0.5)
        for callback in (self.broker.start, *self._starts):
            await self._until_done(callback)
        self.problem = None
        self.ready.set()

    async def _open(self) -> None:
        nats_repairs.apply(self.nc)
        self._js = self.nc.jetstream(timeout=5)
        self._direct = Direct(self.nc)
        self._pipe = Pipe(self.nc)
        await self._pipe.start()
        self._seen()
        _log.info("NATS is connected", server=self.nc.connected_server_version)

    async def _until_done(self, callback: Callback) -> None:
        while True:
            try:
                return await callback()
            except Exception as error:
                self.problem = str(error)[:300]
                _log.warning("a subscription cannot start yet", error=self.problem)
                await asyncio.sleep(1)

    def _seen(self) -> None:
        self.last_ok, self.problem = utcnow(), None
        self.link.set()

    async def _on_error(self, error: Exception) -> None:
        text = f"NATS: {error!r}"[:300]
        if self.connected:
            _log.warning("NATS error", error=text)
        elif text != self.problem:
            self.problem = text  # repeated four times a second while away: said once
            _log.warning("NATS is not there", error=text)

    async def _on_disconnect(self) -> None:
        self.link.clear()
        if not self._stopping:
            _log.warning("NATS is gone")

    async def _on_reconnect(self, *_: Any) -> None:
        self._seen()
        _log.info("NATS is back")
        for callback in self._reconnect_callbacks:
            await _survive(callback(), "a reconnect callback")


async def _survive(work: Awaitable[Any], what: str) -> None:
    try:
        await work
    except Exception as error:
        _log.warning("failed, going on", what=what, error=repr(error)[:300])
