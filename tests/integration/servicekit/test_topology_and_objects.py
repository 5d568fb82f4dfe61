"""The topology is applied, compared, and refused where data would be lost; objects come back byte for byte."""

import hashlib
import os
from dataclasses import replace

import pytest
from contracts import topology as plan
from contracts.channels import Channel
from contracts.topology import ObjectStore, Stream, Topology
from servicekit.errors import NotFound, Permanent, TooLarge, Unavailable
from servicekit.objects import ObjectBucket
from servicekit.topology import apply, check


def only(stream):
    return Topology((stream,), (), ())


async def test_the_whole_topology_is_made_once_and_then_in_order(bus):
    wanted = plan.topology([Channel.EMAIL])
    missing = await check(bus.js, wanted)
    assert len(missing) == len(wanted.streams) + len(wanted.buckets) + len(wanted.objects)
    assert len((await apply(bus.js, wanted)).created) == len(missing)
    assert await check(bus.js, wanted) == []
    again = await apply(bus.js, wanted)
    assert (again.created, again.updated) == ([], [])


async def test_a_channel_more_adds_its_own(bus):
    await apply(bus.js, plan.topology([Channel.EMAIL]))
    done = await apply(bus.js, plan.topology([Channel.EMAIL, Channel.TELEGRAM]))
    assert "COMMANDS_TELEGRAM" in done.created
    assert "INBOX" in done.unchanged


async def test_a_difference_is_named_and_mended(bus):
    stream = Stream("S", ("s.>",), "why", max_bytes=1 << 20)
    await apply(bus.js, only(stream))
    wider = replace(stream, max_bytes=2 << 20, subjects=("s.>", "t.>"))
    found = await check(bus.js, only(wider))
    assert any("max_bytes" in line for line in found)
    assert any("subjects" in line for line in found)
    assert (await apply(bus.js, only(wider))).updated == ["S"]
    assert await check(bus.js, only(wider)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"subjects": ("t.>",)},
        {"max_age_seconds": 60},
        {"max_bytes": 10},
        {"max_messages_per_subject": 1},
        {"retention": "workqueue"},
        {"max_consumers": 7},
    ],
)
async def test_what_would_lose_data_is_refused_and_nothing_is_changed(bus, change):
    stream = Stream("S", ("s.>",), "why", max_bytes=1 << 20, max_consumers=100)
    await apply(bus.js, only(stream))
    for _ in range(2):
        await bus.publish("s.a", b"x" * 100)
    other = Stream("NEW", ("n.>",), "why")
    with pytest.raises(Permanent) as caught:
        await apply(bus.js, Topology((other, replace(stream, **change)), (), ()))
    assert "S" in caught.value.detail
    assert await check(bus.js, only(stream)) == []
    assert await check(bus.js, only(other)) == ["NEW: is missing"]
    assert (await bus.js.stream_info("S")).state.messages == 2


async def test_overlapping_streams_are_refused_with_the_servers_reason(bus):
    await apply(bus.js, only(Stream("A", ("s.>",), "why")))
    with pytest.raises(Permanent, match="overlap"):
        await apply(bus.js, only(Stream("B", ("s.a",), "why")))


async def test_without_nats_applying_is_unavailable(bus, fresh_nats):
    js = bus.js
    fresh_nats.freeze()
    with pytest.raises(Unavailable):
        await check(js, only(Stream("A", ("s.>",), "why")))
    fresh_nats.thaw()


@pytest.fixture
async def media(bus):
    await apply(bus.js, Topology((), (), (ObjectStore("media", "for tests"),)))
    return ObjectBucket(bus, "media")


@pytest.mark.parametrize("size", [0, 1, 131_072, 131_073, 5_000_000])
async def test_content_comes_back_under_its_digest(media, size):
    data = os.urandom(size)
    object_id = await media.put(data, {"type": "image/png"})
    assert object_id == hashlib.sha256(data).hexdigest()
    assert await media.get(object_id) == data
    info = await media.info(object_id)
    assert (info.size, info.headers) == (size, {"type": "image/png"})


async def test_30_megabytes_go_in_and_out_in_chunks(media):
    data = os.urandom(1 << 20) * 30
    object_id = await media.put(data)
    sizes = [len(chunk) async for chunk in media.stream(object_id)]
    assert (sum(sizes), max(sizes)) == (len(data), 131_072)
    with pytest.raises(TooLarge):
        await media.put(data + b"x")


async def test_the_same_content_is_stored_once(media):
    data = os.urandom(300_000)
    first = await media.put(data)
    before = await media.info(first)
    assert await media.put(data) == first
    state = (await media.bus.js.stream_info("OBJ_media")).state
    assert state.messages == 3 + 1
    assert (await media.info(first)).modified > before.modified
    assert [s.id async for s in media.all()] == [first]


async def test_what_is_deleted_is_gone(media):
    object_id = await media.put(b"secret" * 50_000)
    await media.delete(object_id)
    await media.delete(object_id)
    for call in (media.get(object_id), media.info(object_id)):
        with pytest.raises(NotFound):
            await call
    assert (await media.bus.js.stream_info("OBJ_media")).state.messages == 0


async def test_damage_is_noticed(media):
    object_id = await media.put(b"x" * 300_000)
    await media.bus.js.delete_msg("OBJ_media", 1)
    with pytest.raises(Permanent) as caught:
        await media.get(object_id)
    assert caught.value.reason == "damaged"


async def test_nats_own_client_reads_what_we_store(media):
    object_id = await media.put(b"plain words")
    store = await media.bus.js.object_store("media")
    assert (await store.get(object_id)).data == b"plain words"
