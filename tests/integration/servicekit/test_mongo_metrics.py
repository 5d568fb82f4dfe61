"""What is written to a real store is counted: documents, statements by kind, commands."""

import pytest
from servicekit import mongo
from servicekit.mongo import UpdateMany, UpdateOne
from servicekit.mongo_metrics import COMMANDS, DOCUMENTS, STATEMENTS


@pytest.fixture
async def db(mongo_url, fresh_db, service_settings):
    made = mongo.connect(service_settings.model_copy(update={"mongo_url": mongo_url, "mongo_db": fresh_db}))
    yield made
    made.close()


def counted() -> tuple[float, float, dict[str, float]]:
    """Return commands, documents and statements of the collection `hens` so far."""
    kinds = ("insert", "one", "range")
    statements = {kind: STATEMENTS.labels("hens", kind)._value.get() for kind in kinds}
    return COMMANDS.labels("hens")._value.get(), DOCUMENTS.labels("hens")._value.get(), statements


async def test_writes_are_counted_as_the_store_answers_them(db):
    hens = db["hens"]
    await hens.insert_many([{"_id": n, "eggs": 0} for n in range(10)])
    await hens.bulk_write([
        UpdateMany({"_id": {"$lt": 6}}, {"$set": {"eggs": 1}}),
        UpdateOne({"_id": 7}, {"$set": {"eggs": 1}}),
        UpdateOne({"_id": 77}, {"$set": {"eggs": 1}}),
    ])  # fmt: skip
    await hens.find_one_and_update({"_id": 1}, {"$set": {"eggs": 2}})
    await hens.find_one({"_id": 1})
    await hens.delete_many({"_id": {"$gte": 8}})
    assert counted() == (4, 10 + 7 + 1 + 2, {"insert": 10, "one": 3, "range": 2})
