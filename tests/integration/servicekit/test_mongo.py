"""The store through our one module: errors in our words, on whichever store runs."""

import asyncio
import datetime as dt
import time

import pytest
from servicekit import mongo
from servicekit.errors import Permanent, Unavailable
from servicekit.mongo import BulkFailed, DuplicateKey, IndexModel, InsertOne, UpdateOne

from tests.support import disk


@pytest.fixture
async def db(mongo_url, fresh_db, service_settings):
    made = mongo.connect(service_settings.model_copy(update={"mongo_url": mongo_url, "mongo_db": fresh_db}))
    yield made
    made.close()


async def test_documents_come_back_with_aware_times(db):
    at = dt.datetime(2026, 5, 1, 12, 30, 15, 123_000, tzinfo=dt.UTC)
    await db["things"].insert_one({"_id": "a", "at": at, "deep": {"n": 1}})
    assert await db["things"].find_one({"_id": "a"}) == {"_id": "a", "at": at, "deep": {"n": 1}}
    assert await db["things"].find_one({"_id": "b"}) is None
    assert await db.ping() < 5
    assert "version" in await db.build_info()


async def test_a_duplicate_names_itself(db):
    things = db["things"]
    await mongo.ensure_indexes(things, [IndexModel("name", unique=True)])
    await mongo.ensure_indexes(things, [IndexModel("name", unique=True)])
    await things.insert_one({"_id": 1, "name": "x"})
    with pytest.raises(DuplicateKey):
        await things.insert_one({"_id": 2, "name": "x"})
    with pytest.raises(DuplicateKey):
        await things.insert_one({"_id": 1, "name": "y"})


async def test_a_bulk_says_which_were_refused_and_keeps_the_rest(db):
    things = db["things"]
    await things.insert_one({"_id": 3})
    with pytest.raises(BulkFailed) as caught:
        await things.insert_many([{"_id": n} for n in range(6)])
    assert caught.value.duplicates == [3]
    assert caught.value.inserted == 5
    with pytest.raises(BulkFailed) as bulk:
        await things.bulk_write(
            [UpdateOne({"_id": 0}, {"$set": {"x": 1}}), InsertOne({"_id": 0}), InsertOne({"_id": 9})]
        )
    assert bulk.value.duplicates == [1]
    assert await things.count({}) == 7


async def test_an_index_with_another_definition_is_refused(db):
    await mongo.ensure_indexes(db["things"], [IndexModel("name", name="n")])
    with pytest.raises(Permanent):
        await mongo.ensure_indexes(db["things"], [IndexModel("name", name="n", unique=True)])


async def test_the_calls_that_stores_use(db):
    things = db["things"]
    await things.insert_many([{"_id": n, "n": n, "kind": "even" if n % 2 == 0 else "odd"} for n in range(10)])
    assert [d["_id"] async for d in things.find({"kind": "odd"}, sort=[("n", -1)], limit=2)] == [9, 7]
    assert len(await things.find_list({}, limit=3)) == 3
    assert (await things.update_many({"kind": "odd"}, {"$set": {"seen": True}})).modified_count == 5
    assert (await things.update_one({"_id": 0, "n": 99}, {"$set": {"x": 1}})).matched_count == 0
    assert (await things.find_one_and_update({"_id": 0}, {"$inc": {"n": 5}}))["n"] == 5
    assert (await things.find_one_and_update({"_id": 0}, {"$inc": {"n": 5}}, before=True))["n"] == 5
    assert await things.find_one_and_update({"_id": 77}, {"$inc": {"n": 5}}) is None
    assert sorted(await things.distinct("kind", {})) == ["even", "odd"]
    grouped = [
        d async for d in things.aggregate([{"$group": {"_id": "$kind", "n": {"$sum": 1}}}, {"$sort": {"_id": 1}}])
    ]
    assert grouped == [{"_id": "even", "n": 5}, {"_id": "odd", "n": 5}]
    await things.replace_one({"_id": 50}, {"_id": 50}, upsert=True)
    assert (await things.delete_many({"kind": "odd"})).deleted_count == 5
    assert (await things.delete_one({"_id": 50})).deleted_count == 1


async def test_an_absent_store_is_unavailable_after_five_seconds(service_settings):
    settings = service_settings.model_copy(update={"mongo_url": "mongodb://127.0.0.1:1"})
    db = mongo.connect(settings)
    started = time.monotonic()
    with pytest.raises(Unavailable):
        await db["things"].find_one({})
    assert 4 < time.monotonic() - started < 9
    db.close()


async def test_a_killed_store_is_unavailable_and_then_works_again(fresh_store, service_settings):
    db = mongo.connect(service_settings.model_copy(update={"mongo_url": fresh_store.url}))
    await db["things"].insert_one({"_id": "kept"})
    fresh_store.kill()
    with pytest.raises(Unavailable):
        await db.ping()
    fresh_store.start()
    for _ in range(100):
        try:
            found = await db["things"].find_one({"_id": "kept"})
            break
        except Unavailable:
            await asyncio.sleep(0.1)
    assert found == {"_id": "kept"}
    db.close()


async def test_a_store_that_gave_up_on_a_full_disk_is_unavailable_and_not_a_bug(fresh_store, service_settings):
    fresh_store.kill()
    fresh_store.command = disk.writes_may_fail(fresh_store.command)
    fresh_store.start()
    db = mongo.connect(service_settings.model_copy(update={"mongo_url": fresh_store.url}))
    things = db["things"]
    await things.insert_one({"_id": 1})
    disk.fill(fresh_store.process.pid)
    for call in (
        lambda: things.insert_one({"_id": 2}),
        lambda: things.update_many({}, {"$set": {"a": 1}}),
        lambda: things.bulk_write([UpdateOne({"_id": 1}, {"$set": {"a": 1}})]),
        lambda: things.insert_many([{"_id": 3}]),
        lambda: things.find_one({"_id": 1}),
        lambda: things.find_list({}, limit=5),
        db.ping,
    ):
        with pytest.raises(Unavailable):
            await call()
    fresh_store.restart()
    assert [d["_id"] async for d in things.find({})] == [1]
    db.close()


async def test_a_request_that_the_store_cannot_carry_out_is_a_bug(db):
    await db["things"].insert_one({"_id": 1})
    with pytest.raises(mongo.OperationFailure):
        await db["things"].update_one({"_id": 1}, {"$nonsense": {"a": 1}})
