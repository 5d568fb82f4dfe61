"""What lies in the store and on the bus of a running platform, for tests that compare it with what people are told."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from contracts import subjects
from contracts.channels import Channel
from contracts.state import LedgerEntry
from motor.motor_asyncio import AsyncIOMotorClient
from servicekit import stream_reader

from tests.support.live import Live


@contextlib.asynccontextmanager
async def database(kurir: Live) -> AsyncIterator[Any]:
    """Yield the platform's database."""
    client: Any = AsyncIOMotorClient(kurir.platform.endpoints.mongo_url, tz_aware=True)
    try:
        yield client["kurir"]
    finally:
        client.close()


async def ledger_entries(kurir: Live, account: str) -> dict[str, LedgerEntry]:
    """Return the e-mail ledger's entries of an account by key, those that were purged left out."""
    bucket = f"KV_{subjects.bucket('ledger', Channel.EMAIL)}"
    prefix, found = f"$KV.{subjects.bucket('ledger', Channel.EMAIL)}.", {}
    connection = await kurir.bus()
    async for message in stream_reader.read(connection.jetstream(), bucket, f"{prefix}{account}.>"):
        if message.data:
            found[message.subject.removeprefix(prefix)] = LedgerEntry.model_validate_json(message.data)
    await connection.close()
    return found


async def suppressed_on_the_bus(kurir: Live) -> set[str]:
    """Return the keys that lanes obey."""
    connection, found = await kurir.bus(), set[str]()
    async for message in stream_reader.read(connection.jetstream(), "KV_suppressions", "$KV.suppressions.>"):
        if message.data:
            found.add(message.subject.removeprefix("$KV.suppressions."))
    await connection.close()
    return found
