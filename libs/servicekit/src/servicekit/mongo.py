"""The only module that imports Motor. Its successor, PyMongo's AsyncMongoClient, has the same calls: one line to change."""

import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection
from pymongo import ASCENDING, DESCENDING, IndexModel, InsertOne, ReplaceOne, ReturnDocument, UpdateMany, UpdateOne
from pymongo.errors import OperationFailure
from pymongo.results import BulkWriteResult, DeleteResult, InsertManyResult, InsertOneResult, UpdateResult

from servicekit.errors import Permanent
from servicekit.mongo_errors import BulkFailed, DuplicateKey, translated
from servicekit.mongo_metrics import WriteCounter
from servicekit.settings import ServiceSettings

__all__ = [
    "ASCENDING",
    "DESCENDING",
    "BulkFailed",
    "Collection",
    "Database",
    "DuplicateKey",
    "IndexModel",
    "InsertOne",
    "OperationFailure",
    "ReplaceOne",
    "ReturnDocument",
    "UpdateMany",
    "UpdateOne",
    "connect",
    "drop_indexes",
    "ensure_indexes",
]

Document = dict[str, Any]
Filter = Mapping[str, Any]
Update = Mapping[str, Any] | Sequence[Mapping[str, Any]]
Sort = Sequence[tuple[str, int]]

SERVER_SELECTION_MILLISECONDS = 5_000
SOCKET_MILLISECONDS = 60_000


class Collection:
    """A collection whose calls raise our errors. Filters and updates are MongoDB's own."""

    def __init__(self, motor: "AsyncIOMotorCollection[Document]") -> None:
        """Wrap Motor's collection, kept as `raw` for the rare call that is missing here."""
        self.raw = motor
        self.name: str = motor.name

    async def find_one(self, where: Filter, projection: Any = None, *, sort: Sort | None = None) -> Document | None:
        """Return the first match, or None."""
        async with translated(self.raw):
            return await self.raw.find_one(where, projection, sort=sort)

    async def find(
        self,
        where: Filter,
        projection: Any = None,
        *,
        sort: Sort | None = None,
        limit: int = 0,
        batch_size: int = 1_000,
        hint: str | None = None,
    ) -> AsyncIterator[Document]:
        """Yield the matches without holding them all in memory."""
        cursor = self.raw.find(where, projection, sort=sort, limit=limit, batch_size=batch_size, hint=hint)
        async with translated(self.raw):
            async for document in cursor:
                yield document

    async def find_list(
        self,
        where: Filter,
        projection: Any = None,
        *,
        sort: Sort | None = None,
        limit: int,
        hint: str | None = None,
    ) -> list[Document]:
        """Return at most *limit* matches."""
        async with translated(self.raw):
            return await self.raw.find(where, projection, sort=sort, limit=limit, hint=hint).to_list(limit)

    async def find_chunks(
        self, where: Filter, projection: Any = None, *, sort: Sort | None = None, size: int
    ) -> AsyncIterator[list[Document]]:
        """Yield the matches, at most *size* at a time: a fifth of the time that `find` takes for each."""
        cursor = self.raw.find(where, projection, sort=sort, batch_size=size)
        async with translated(self.raw):
            while found := await cursor.to_list(size):
                yield found

    async def insert_one(self, document: Document) -> InsertOneResult:
        """Insert. Raises DuplicateKey."""
        async with translated(self.raw):
            return await self.raw.insert_one(document)

    async def insert_many(self, documents: Iterable[Document], *, ordered: bool = False) -> InsertManyResult:
        """Insert all that can be; raises BulkFailed naming those refused."""
        async with translated(self.raw):
            return await self.raw.insert_many(documents, ordered=ordered)

    async def update_one(
        self,
        where: Filter,
        update: Update,
        *,
        upsert: bool = False,
        array_filters: Any = None,
    ) -> UpdateResult:
        """Update one match; look at `matched_count`."""
        async with translated(self.raw):
            return await self.raw.update_one(where, update, upsert=upsert, array_filters=array_filters)

    async def update_many(self, where: Filter, update: Update, *, hint: str | None = None) -> UpdateResult:
        """Update every match; look at `modified_count`."""
        async with translated(self.raw):
            return await self.raw.update_many(where, update, hint=hint)

    async def replace_one(self, where: Filter, document: Document, *, upsert: bool = False) -> UpdateResult:
        """Replace one match."""
        async with translated(self.raw):
            return await self.raw.replace_one(where, document, upsert=upsert)

    async def find_one_and_update(
        self,
        where: Filter,
        update: Update,
        *,
        upsert: bool = False,
        sort: Sort | None = None,
        before: bool = False,
        projection: Any = None,
        array_filters: Any = None,
    ) -> Document | None:
        """Update one match and return it as it is afterwards (or *before*), None where nothing matched."""
        side = ReturnDocument.BEFORE if before else ReturnDocument.AFTER
        async with translated(self.raw):
            return await self.raw.find_one_and_update(
                where,
                update,
                projection=projection,
                upsert=upsert,
                sort=sort,
                return_document=side,
                array_filters=array_filters,
            )

    async def delete_one(self, where: Filter) -> DeleteResult:
        """Delete one match."""
        async with translated(self.raw):
            return await self.raw.delete_one(where)

    async def delete_many(self, where: Filter) -> DeleteResult:
        """Delete every match."""
        async with translated(self.raw):
            return await self.raw.delete_many(where)

    async def count(self, where: Filter) -> int:
        """Count matches; slow on large sets, keep counts instead."""
        async with translated(self.raw):
            return int(await self.raw.count_documents(where))

    async def aggregate(self, pipeline: Sequence[Mapping[str, Any]]) -> AsyncIterator[Document]:
        """Yield a pipeline's results."""
        async with translated(self.raw):
            async for document in self.raw.aggregate(pipeline):
                yield document

    async def bulk_write(self, operations: Sequence[Any], *, ordered: bool = False) -> BulkWriteResult:
        """Run many writes in one round trip; raises BulkFailed naming those refused."""
        async with translated(self.raw):
            return await self.raw.bulk_write(operations, ordered=ordered)

    async def distinct(self, field: str, where: Filter) -> list[Any]:
        """Return the distinct values of a field."""
        async with translated(self.raw):
            return list(await self.raw.distinct(field, where))


class Database:
    """One service's database. `db["accounts"]` is a Collection."""

    def __init__(self, client: "AsyncIOMotorClient[Document]", name: str) -> None:
        """Wrap Motor's client."""
        self.client, self.name = client, name
        self.raw = client[name]
        self._collections: dict[str, Collection] = {}

    def __getitem__(self, name: str) -> Collection:
        found = self._collections.get(name)
        if found is None:  # Motor makes two objects each time
            found = self._collections[name] = Collection(self.raw[name])
        return found

    async def ping(self) -> float:
        """Return the seconds it took to read something. Raises Unavailable.

        Not the command `ping`: a store that gave up since its disk is full still answers that.
        """
        started = time.perf_counter()
        await self["health"].find_one({"_id": 0})
        return time.perf_counter() - started

    async def build_info(self) -> Document:
        """Return the server's `buildInfo`, which names what it is."""
        async with translated(self.raw["health"]):
            return dict(await self.raw.command("buildInfo"))

    async def drop(self) -> None:
        """Drop the whole database; for tests."""
        async with translated(self.raw["health"]):
            await self.client.drop_database(self.name)

    def close(self) -> None:
        """Close the connections."""
        self.client.close()


def connect(settings: ServiceSettings) -> Database:
    """Return the database of the settings; connects on first use, an unreachable store raises Unavailable after 5 s."""
    url = urlsplit(settings.mongo_url)
    options = {name.lower() for name in parse_qs(url.query)}
    more: dict[str, Any] = {}
    if url.scheme == "mongodb" and "," not in url.netloc and not options & {"replicaset", "directconnection"}:
        more["directConnection"] = True  # a single server, such as the embedded one, announces addresses of its own
    client: AsyncIOMotorClient[Document] = AsyncIOMotorClient(
        settings.mongo_url,
        serverSelectionTimeoutMS=SERVER_SELECTION_MILLISECONDS,
        connectTimeoutMS=SERVER_SELECTION_MILLISECONDS,
        socketTimeoutMS=SOCKET_MILLISECONDS,
        tz_aware=True,
        appname=settings.service,
        event_listeners=[WriteCounter()],
        **more,
    )
    return Database(client, settings.mongo_db)


async def ensure_indexes(collection: Collection, indexes: Sequence[IndexModel]) -> None:
    """Create what is missing, one by one: secantusd-py takes a second for 10,000 documents, and a command has its time.

    Raises Permanent where an index of that name exists with another definition.
    """
    try:
        async with translated(collection.raw):
            for index in indexes:
                await collection.raw.create_indexes([index])
    except OperationFailure as error:
        raise Permanent("index", f"{collection.name}: {error}") from error


async def drop_indexes(collection: Collection, names: Sequence[str]) -> None:
    """Drop those of these indexes that are there."""
    async with translated(collection.raw):
        there = await collection.raw.index_information()
        for name in names:
            if name in there:
                await collection.raw.drop_index(name)
