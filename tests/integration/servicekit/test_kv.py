"""Typed buckets and watches on a real server: compare-and-set, expiry, ghost writes, staying up to date."""

import asyncio
import time

import pytest
from contracts.state import WorkerSwitch
from contracts.topology import Bucket as BucketPlan
from contracts.topology import Topology
from servicekit import watch as watch_module
from servicekit.errors import Conflict, Permanent, Unavailable
from servicekit.kv import Bucket, BucketWatch
from servicekit.topology import apply

ON, OFF = WorkerSwitch(worker=True), WorkerSwitch(worker=False)


@pytest.fixture
async def bucket(bus):
    plans = (BucketPlan("b", "for tests", key_ttl=True), BucketPlan("plain", "for tests"))
    await apply(bus.js, Topology((), plans, ()))
    return Bucket(bus, "b", WorkerSwitch, timeout=1)


async def wait_until(condition, seconds=10.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "did not happen in time"
        await asyncio.sleep(0.02)


async def test_a_key_lives_from_create_to_delete_and_again(bucket):
    assert await bucket.get("a") is None
    first = await bucket.create("a", ON)
    assert await bucket.get("a") == (ON, first)
    with pytest.raises(Conflict):
        await bucket.create("a", OFF)
    second = await bucket.update("a", OFF, first)
    with pytest.raises(Conflict):
        await bucket.update("a", ON, first)
    with pytest.raises(Conflict):
        await bucket.delete("a", first)
    await bucket.delete("a", second)
    assert await bucket.get("a") is None
    third = await bucket.create("a", ON)
    await bucket.purge("a")
    assert await bucket.get("a") is None
    assert await bucket.put("a", OFF) > third


async def test_one_of_many_creates_wins(bucket):
    async def one(n):
        try:
            return await bucket.create("lease", WorkerSwitch(worker=True, version=n))
        except Conflict:
            return None

    won = [r for r in await asyncio.gather(*(one(n) for n in range(1, 30))) if r]
    assert len(won) == 1


async def test_keys_are_listed_by_whole_tokens_without_the_deleted_and_leave_no_consumer(bucket):
    for key in ("acc_1.b.1", "acc_1.b.2", "acc_1.c.1", "acc_12.b.1", "acc_1"):
        await bucket.create(key, ON)
    await bucket.delete("acc_1.c.1")
    assert sorted(await bucket.keys("acc_1")) == ["acc_1.b.1", "acc_1.b.2"]
    assert sorted(await bucket.keys("acc_1.b.")) == ["acc_1.b.1", "acc_1.b.2"]
    assert len(await bucket.keys()) == 4
    assert (await bucket.items("acc_12"))["acc_12.b.1"].value == ON
    await bucket.purge_prefix("acc_1.b")
    assert sorted(await bucket.keys()) == ["acc_1", "acc_12.b.1"]
    assert await bucket.bus.js.consumers_info("KV_b") == []


async def test_many_keys_are_listed(bucket):
    pipe = bucket.bus.pipe
    await asyncio.gather(*[await pipe.publish(bucket.subject(f"k.{n}"), bucket.dump(ON)) for n in range(1_000)])
    assert len(await bucket.items("k")) == 1_000


async def test_a_key_with_a_life_expires_and_can_be_created_again(bucket):
    revision = await bucket.create("m", ON, ttl_seconds=1)
    revision = await bucket.update("m", ON, revision, ttl_seconds=1)
    await asyncio.sleep(0.7)
    revision = await bucket.update("m", ON, revision, ttl_seconds=1)
    await asyncio.sleep(0.7)
    assert await bucket.get("m") is not None, "renewing keeps it"
    await asyncio.sleep(1.5)
    assert await bucket.get("m") is None
    assert await bucket.keys() == []
    assert await bucket.create("m", OFF, ttl_seconds=1) > revision


async def test_what_does_not_parse_says_so(bucket):
    await bucket.bus.js.publish(bucket.subject("bad"), b"{nope")
    with pytest.raises(Permanent) as caught:
        await bucket.get("bad")
    assert caught.value.reason == "malformed"


async def test_a_missing_bucket_is_not_an_empty_one(bus):
    for call in (Bucket(bus, "none", WorkerSwitch).get("a"), Bucket(bus, "none", WorkerSwitch).create("a", ON)):
        with pytest.raises(Unavailable):
            await call


async def test_while_nats_is_away_nothing_is_written_later(bucket, fresh_nats):
    await bucket.put("a", ON)
    fresh_nats.kill()
    await wait_until(lambda: not bucket.bus.connected)
    for call in (bucket.put("a", OFF), bucket.get("a"), bucket.keys()):
        with pytest.raises(Unavailable):
            await call
    fresh_nats.start()
    await bucket.bus.wait_connected()
    await asyncio.sleep(0.3)
    assert (await bucket.get("a")).value == ON


async def test_a_write_without_an_answer_counts_if_it_is_there(bucket, fresh_nats):
    """The server is frozen over the write's timeout: what was buffered is applied on its return."""
    fresh_nats.freeze()
    loop = asyncio.get_running_loop()
    loop.call_later(1.2, fresh_nats.thaw)  # after the write's timeout, within the read-back's
    revision = await bucket.create("ghost", ON)
    assert await bucket.get("ghost") == (ON, revision)


async def test_a_write_without_an_answer_that_cannot_be_read_back_is_unavailable(bucket, fresh_nats):
    fresh_nats.freeze()
    with pytest.raises(Unavailable):
        await bucket.create("ghost", ON)
    fresh_nats.thaw()


async def test_a_write_that_never_arrived_is_not_taken_for_an_older_one_that_said_the_same(bucket, fresh_nats):
    """A heartbeat says the same each time: one that was lost must not count as renewed."""
    slow = Bucket(bucket.bus, "b", WorkerSwitch, timeout=3)
    await slow.put("beat", ON)
    fresh_nats.freeze()
    lost = asyncio.create_task(slow.put("beat", ON))
    await asyncio.sleep(0.2)
    fresh_nats.restart()
    await bucket.bus.wait_connected()
    with pytest.raises(Unavailable):
        await lost


@pytest.fixture
async def watch(bucket):
    changes = []
    made = BucketWatch(bucket.bus, "b", WorkerSwitch, lambda *change: changes.append(change))
    made.changes = changes
    task = asyncio.create_task(made.run())
    yield made
    task.cancel()


async def test_a_watch_lists_and_follows(bucket, watch):
    await asyncio.wait_for(watch.ready.wait(), 5)
    first = await bucket.create("a", ON)
    await wait_until(lambda: watch.state.get("a") == (ON, first))
    await bucket.put("a", OFF)
    await bucket.delete("a")
    await wait_until(lambda: len(watch.changes) == 3)
    assert [value for _, value, _ in watch.changes] == [ON, OFF, None]
    assert watch.state == {}
    assert await watch.behind() is False
    assert watch.revision_seen == 3


async def test_a_watch_hears_of_an_expiry(bucket, watch):
    await asyncio.wait_for(watch.ready.wait(), 5)
    await bucket.create("m", ON, ttl_seconds=1)
    await wait_until(lambda: watch.changes and watch.changes[-1][1] is None, 5)
    assert await watch.behind() is False


async def test_a_watch_misses_nothing_over_a_restart_and_its_silence_is_known(bucket, watch, fresh_nats):
    await asyncio.wait_for(watch.ready.wait(), 5)
    await bucket.create("a", ON)
    await wait_until(lambda: "a" in watch.state)
    fresh_nats.kill()
    await wait_until(lambda: not bucket.bus.connected)
    assert await watch.behind() is None
    fresh_nats.start()
    await bucket.bus.wait_connected()
    await bucket.put("a", OFF)
    await bucket.create("b", ON)
    await wait_until(lambda: watch.state.get("a", (None,))[0] == OFF and "b" in watch.state, 5)
    assert await watch.behind() is False


async def test_an_unanswered_question_is_none(bucket, watch, fresh_nats):
    await asyncio.wait_for(watch.ready.wait(), 5)
    fresh_nats.freeze()
    try:
        assert await watch.behind(timeout=0.3) is None
    finally:
        fresh_nats.thaw()


async def test_a_watch_that_does_not_run_is_behind(bucket):
    still = BucketWatch(bucket.bus, "b", WorkerSwitch)
    task = asyncio.create_task(still.run())
    await asyncio.wait_for(still.ready.wait(), 5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await still.behind() is False
    await bucket.create("a", ON)
    assert await still.behind() is True
    await bucket.purge_prefix("a")  # what is gone without a trace cannot be missed
    await bucket.bus.js.purge_stream("KV_b")
    assert await still.behind() is False


async def test_listing_again_finds_what_vanished_without_a_trace(bucket, watch, monkeypatch):
    monkeypatch.setattr(watch_module, "RELIST_SECONDS", 0.5)
    await asyncio.wait_for(watch.ready.wait(), 5)
    await bucket.create("a.1", ON)
    await wait_until(lambda: "a.1" in watch.state)
    await bucket.bus.js.purge_stream("KV_b", subject="$KV.b.a.>")
    await watch._list_again()
    await wait_until(lambda: watch.state == {}, 5)
    assert watch.changes[-1][:2] == ("a.1", None)


async def test_a_bucket_made_anew_is_followed(bucket, watch):
    await asyncio.wait_for(watch.ready.wait(), 5)
    for n in range(5):
        await bucket.create(f"k{n}", ON)
    await wait_until(lambda: len(watch.state) == 5)
    await bucket.bus.js.delete_stream("KV_b")
    await apply(bucket.bus.js, Topology((), (BucketPlan("b", "", key_ttl=True),), ()))
    await bucket.create("new", ON)
    assert await watch.behind() is True
    await watch._list_again()
    await wait_until(lambda: set(watch.state) == {"new"}, 5)
    assert await watch.behind() is False


async def test_a_value_that_does_not_parse_keeps_the_last_good_one(bucket, watch):
    await asyncio.wait_for(watch.ready.wait(), 5)
    await bucket.create("a", ON)
    await bucket.bus.js.publish(bucket.subject("a"), b"{nope")
    await bucket.create("z", ON)
    await wait_until(lambda: "z" in watch.state)
    assert watch.state["a"][0] == ON
