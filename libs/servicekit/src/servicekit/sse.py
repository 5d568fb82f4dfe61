"""Server-sent events of changes: ids only, clients fetch again. A client that comes back misses nothing, or reloads."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from typing import NamedTuple

import orjson
from contracts import subjects
from contracts.events import Changed
from fastapi import Request
from fastapi.responses import StreamingResponse
from nats.aio.msg import Msg
from pydantic import ValidationError

from servicekit import tracing
from servicekit.bus import Bus
from servicekit.logs import get_logger

RING_SIZE = 5_000
CLIENT_QUEUE = 1_000
HEARTBEAT_SECONDS = 15.0
RELOAD = "reload"
CONNECTED = "connected"
_ORIGIN = "x-hub"
_IDS_PER_EVENT = 500
_log = get_logger("servicekit.sse")


class Event(NamedTuple):
    """One change. `id` is `<epoch>-<n>`: n rises within an epoch, another epoch means that something was missed."""

    id: str
    kind: str
    ids: list[str]

    def encode(self) -> bytes:
        """Return the event as it goes over the wire."""
        data = orjson.dumps({"kind": self.kind, "ids": self.ids}).decode()
        return f"id: {self.id}\nevent: {self.kind}\ndata: {data}\n\n".encode()


class EventHub:
    """A ring of the last changes, spread to every replica by core-NATS hints."""

    def __init__(self, bus: Bus | None, service: str, *, ring_size: int = RING_SIZE) -> None:
        """*ring_size*: events kept for clients that come back. Without a bus it serves one process."""
        self._bus, self._service = bus, service
        self._origin = tracing.new_id()[:12]
        self._epoch, self._count = tracing.new_id()[:12], 0
        self._ring: deque[Event] = deque(maxlen=ring_size)
        self._clients: set[asyncio.Queue[Event | None]] = set()
        self._closed = False
        if bus is not None:
            bus.on_start(self._subscribe)
            bus.on_reconnect(self._begin_anew)

    async def publish(self, kind: str, ids: list[str]) -> None:
        """Tell all clients of all replicas that *kind* changed; after the commit. Never raises for a missing NATS."""
        for start in range(0, len(ids) or 1, _IDS_PER_EVENT):
            part = ids[start : start + _IDS_PER_EVENT]
            self._append(kind, part)
            if self._bus is not None:
                hint = Changed(service=self._service, kind=kind, ids=part)
                await self._bus.hint(subjects.hint(self._service), hint, headers={_ORIGIN: self._origin})

    def close(self) -> None:
        """End every stream: for `stopping`, so that a shutdown does not wait for browsers."""
        self._closed = True
        for client in self._clients:
            _offer(client, None)

    async def events(self, last_event_id: str | None = None) -> AsyncIterator[Event | None]:
        """Yield what came after *last_event_id*, then what comes; None every 15 s as a heartbeat.

        The first event is `connected` for a new client, `reload` for one that may have missed something. Ends for a client that is too slow, which
        then comes back with its last id.
        """
        client: asyncio.Queue[Event | None] = asyncio.Queue(CLIENT_QUEUE)
        self._clients.add(client)
        missed = self._since(last_event_id)  # read together with joining: nothing falls between
        try:
            for event in missed:
                yield event
            while not self._closed:
                try:
                    event_or_end = await asyncio.wait_for(client.get(), HEARTBEAT_SECONDS)
                except TimeoutError:
                    yield None
                    continue
                if event_or_end is None:
                    return
                yield event_or_end
        finally:
            self._clients.discard(client)

    def _since(self, last_event_id: str | None) -> list[Event]:
        here = f"{self._epoch}-{self._count}"
        if not last_event_id:
            return [Event(here, CONNECTED, [])]  # gives the client an id to come back with
        epoch, _, number = last_event_id.partition("-")
        oldest = self._count - len(self._ring)
        if epoch != self._epoch or not number.isdigit() or not oldest <= int(number) <= self._count:
            return [Event(here, RELOAD, [])]
        return list(self._ring)[int(number) - oldest :]

    def _append(self, kind: str, ids: list[str]) -> None:
        self._count += 1
        event = Event(f"{self._epoch}-{self._count}", kind, ids)
        self._ring.append(event)
        for client in list(self._clients):
            _offer(client, event)

    async def _subscribe(self) -> None:
        if self._bus is not None:
            await self._bus.nc.subscribe(subjects.hint(self._service), cb=self._heard)
        await self._begin_anew()

    async def _heard(self, msg: Msg) -> None:
        if (msg.headers or {}).get(_ORIGIN) == self._origin:
            return
        with contextlib.suppress(ValidationError):
            hint = Changed.model_validate_json(msg.data)
            self._append(hint.kind, hint.ids)

    async def _begin_anew(self) -> None:
        """Hints of other replicas may have been lost while NATS was away: every client shall reload."""
        self._epoch, self._count = tracing.new_id()[:12], 0
        self._ring.clear()
        for client in list(self._clients):
            _offer(client, Event(f"{self._epoch}-0", RELOAD, []))


def _offer(client: asyncio.Queue[Event | None], event: Event | None) -> None:
    try:
        client.put_nowait(event)
    except asyncio.QueueFull:  # too slow: end it, it comes back with its last id
        while not client.empty():
            client.get_nowait()
        client.put_nowait(None)


def stream(request: Request, hub: EventHub) -> StreamingResponse:
    """Return the response of an events route; honours Last-Event-ID."""

    async def body() -> AsyncIterator[bytes]:
        yield b"retry: 2000\n\n"
        async for event in hub.events(request.headers.get("last-event-id")):
            yield event.encode() if event is not None else b": alive\n\n"

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(body(), media_type="text/event-stream", headers=headers)
