"""A client of the event stream misses nothing, or is told to reload."""

import asyncio

from servicekit import sse
from servicekit.sse import EventHub


async def _next(stream):
    return await asyncio.wait_for(anext(stream), 2)


async def test_a_new_client_gets_an_id_and_then_every_change():
    hub = EventHub(None, "unit")
    stream = hub.events()
    assert (await _next(stream)).kind == "connected"
    await hub.publish("account", ["a", "b"])
    event = await _next(stream)
    assert (event.kind, event.ids) == ("account", ["a", "b"])
    assert event.encode().startswith(b"id: ")


async def test_a_client_that_comes_back_gets_what_it_missed():
    hub = EventHub(None, "unit")
    stream = hub.events()
    hello = await _next(stream)
    await stream.aclose()
    for i in range(5):
        await hub.publish("row", [str(i)])
    again = hub.events(hello.id)
    assert [(await _next(again)).ids for _ in range(5)] == [[str(i)] for i in range(5)]


async def test_a_client_away_too_long_or_from_elsewhere_reloads():
    hub = EventHub(None, "unit", ring_size=3)
    first = await _next(hub.events())
    for i in range(5):
        await hub.publish("row", [str(i)])
    for last in (first.id, "other-2", "nonsense", f"{first.id.split('-')[0]}-99"):
        assert (await _next(hub.events(last))).kind == "reload"


async def test_a_slow_client_is_ended_and_loses_nothing(monkeypatch):
    monkeypatch.setattr(sse, "CLIENT_QUEUE", 10)
    hub = EventHub(None, "unit")
    stream = hub.events()
    last = await _next(stream)
    for i in range(30):
        await hub.publish("row", [str(i)])
    got = [e async for e in stream]
    assert got == []
    again = hub.events(last.id)
    assert [(await _next(again)).ids[0] for _ in range(30)] == [str(i) for i in range(30)]


async def test_heartbeats_come_and_closing_ends_streams(monkeypatch):
    monkeypatch.setattr(sse, "HEARTBEAT_SECONDS", 0.01)
    hub = EventHub(None, "unit")
    stream = hub.events()
    await _next(stream)
    assert await _next(stream) is None
    hub.close()
    assert [e async for e in stream if e is not None] == []
