"""Imports in MongoDB: which pieces have come. The pieces themselves lie sealed in the object store."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from servicekit.mongo import ASCENDING, Collection, Database, DuplicateKey, IndexModel, ensure_indexes

from accounts.imports.domain import Chunk, Import

MOST = 1_000
_TIMES = ("created_at", "expires_at", "completed_at")


class ImportStore:
    """Each method is one atomic step. Raises servicekit's Unavailable."""

    def __init__(self, db: Database) -> None:
        """Use the collection `session_imports`."""
        self._imports: Collection = db["session_imports"]

    async def prepare(self) -> None:
        """Create the indexes."""
        await ensure_indexes(self._imports, [IndexModel([("account_id", ASCENDING)], name="account")])

    async def insert(self, new: Import) -> bool:
        """Insert; return False where the very same import is known already."""
        try:
            await self._imports.insert_one(_document(new))
        except DuplicateKey:
            return False
        return True

    async def get(self, import_id: str) -> Import | None:
        """Return an import."""
        found = await self._imports.find_one({"_id": import_id})
        return _import(found) if found else None

    async def of(self, account_id: str) -> list[Import]:
        """Return an account's imports, the oldest first."""
        found = await self._imports.find_list({"account_id": account_id}, sort=[("created_at", ASCENDING)], limit=MOST)
        return [_import(one) for one in found]

    async def all(self) -> list[Import]:
        """Return every import; there are few."""
        return [_import(one) async for one in self._imports.find({})]

    async def count_open(self) -> int:
        """Return how many half uploads there are."""
        return await self._imports.count({"complete": False})

    async def note_chunk(self, import_id: str, number: int, chunk: Chunk) -> bool:
        """Note that a piece has come; return False where the import is no longer open."""
        is_open = {"_id": import_id, "complete": False}
        written = await self._imports.update_one(is_open, {"$set": {f"chunks.{number}": chunk.model_dump()}})
        return written.matched_count == 1

    async def forget_chunk(self, import_id: str, number: int) -> None:
        """Note that a piece is lost and has to come again."""
        await self._imports.update_one({"_id": import_id, "complete": False}, {"$unset": {f"chunks.{number}": ""}})

    async def complete(self, import_id: str, object_id: str, at: datetime) -> None:
        """Note that the whole is handed over as *object_id*; its pieces are of no more use."""
        done = {"complete": True, "object": object_id, "completed_at": at, "chunks": {}}
        await self._imports.update_one({"_id": import_id}, {"$set": done})

    async def remove(self, import_id: str) -> None:
        """Forget an import."""
        await self._imports.delete_one({"_id": import_id})


def _document(new: Import) -> dict[str, Any]:
    document = new.model_dump(mode="json")
    document["_id"] = document.pop("id")
    return {**document, **{name: getattr(new, name) for name in _TIMES}}


def _import(document: Mapping[str, Any]) -> Import:
    return Import.model_validate({**document, "id": document["_id"]})
