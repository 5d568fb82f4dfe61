"""Live changes: a client that comes back misses nothing, or is told to reload."""

import asyncio
import json
from collections.abc import AsyncIterator

from contracts import subjects
from contracts.events import SessionChanged
from contracts.state import SessionStatus
from servicekit.clock import utcnow

from tests.support.processes import free_port

from .conftest import Service, ready, serve


async def listen(service: Service, last: str | None = None) -> AsyncIterator[tuple[str, str, list[str]]]:
    """Yield (id, kind, ids) of each event."""
    headers = {"Last-Event-ID": last} if last else {}
    async with service.http.stream("GET", "/v1/events", headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        fields: dict[str, str] = {}
        async for line in answer.aiter_lines():
            if line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "event" in fields:
                yield fields["id"], fields["event"], json.loads(fields["data"])["ids"]
                fields = {}


async def first(service: Service, kind: str, last: str | None = None) -> tuple[str, list[str]]:
    async with asyncio.timeout(10):
        async for event_id, found, ids in listen(service, last):
            if found == kind:
                return event_id, ids
    raise AssertionError(f"no {kind}")


async def test_changes_are_heard_and_a_client_that_comes_back_misses_nothing(service: Service):
    start, _ = await first(service, "connected")
    a = (await service.create())["id"]
    seen, ids = await first(service, "account", start)
    assert ids == [a]
    b = (await service.create())["id"]  # while nobody listens
    assert (await first(service, "account", seen))[1] == [b]


async def test_sessions_and_the_switch_are_told(service: Service):
    account = (await service.create())["id"]
    start, _ = await first(service, "connected")
    event = SessionChanged(account_id=account, channel="email", status=SessionStatus.READY, at=utcnow())
    await service.bus.publish(subjects.session("email", account), event)
    assert (await first(service, "session", start))[1] == [account]
    await service.http.put("/v1/worker", json={"on": False})
    assert (await first(service, "worker", start))[1] == []


async def test_an_id_of_another_life_means_reload(service: Service):
    await first(service, "reload", "long-gone-17")


async def test_another_replica_tells_it_too(service: Service):
    other = service.settings.model_copy(update={"port": free_port(), "instance_id": "b"})
    async for second in serve(other):
        await ready(second)
        start, _ = await first(second, "connected")
        account = (await service.create())["id"]
        assert (await first(second, "account", start))[1] == [account]
