"""What PyMongo raises, in our words."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import bson.errors
import pymongo.errors
from pymongo.errors import OperationFailure

from servicekit.errors import Conflict, Invalid, KurirError, Permanent, Unavailable

BROKEN = "store_broken"
"""Reason of an Unavailable store that answers, but can neither read nor write until it is started anew."""
REFUSES = "store_refuses"
"""Reason of an Unavailable store that does not let us in: a wrong password, or broken and unable to look it up."""
_INTERNAL_ERROR, _AUTHENTICATION_FAILED, _OUT_OF_DISK_SPACE = 1, 18, 14_031


class DuplicateKey(Conflict):
    """A unique index refused the document; `key` names the index's values."""

    reason = "duplicate"

    def __init__(self, detail: str, key: Mapping[str, Any] | None = None) -> None:
        self.key = dict(key or {})
        super().__init__(detail)


class BulkFailed(Conflict):
    """Part of an unordered bulk was refused: `duplicates` and `others` hold positions in what was given."""

    reason = "bulk"

    def __init__(self, inserted: int, duplicates: list[int], others: dict[int, str]) -> None:
        self.inserted, self.duplicates, self.others = inserted, duplicates, others
        super().__init__(f"{len(duplicates)} duplicates, {len(others)} other errors")


@asynccontextmanager
async def translated(collection: Any) -> AsyncIterator[None]:
    """Raise our errors for PyMongo's: Unavailable where the store is away or broken, DuplicateKey, BulkFailed, Invalid.

    *collection*: Motor's, read from where it must be found out whether the store or only this request is broken.
    """
    try:
        yield
    except Exception as error:
        ours = _ours(error)
        if ours is None and isinstance(error, OperationFailure) and await _is_broken(error, collection):
            ours = Unavailable(f"store: {str(error)[:200]}", reason=BROKEN)
        if ours is None:
            raise
        raise ours from error


async def _is_broken(error: OperationFailure, collection: Any) -> bool:
    """Return whether even a read fails: WiredTiger on a full disk gives up, and its server may answer on and on."""
    if error.code != _INTERNAL_ERROR:
        return False
    try:
        await collection.find_one({"_id": 0}, {"_id": 1})
    except pymongo.errors.PyMongoError:
        return True
    return False


def _ours(error: Exception) -> KurirError | None:  # noqa: PLR0911  # a table of errors
    match error:
        case pymongo.errors.DuplicateKeyError():
            return DuplicateKey(str(error)[:300], (error.details or {}).get("keyValue"))
        case pymongo.errors.BulkWriteError():
            return _bulk(error)
        case pymongo.errors.DocumentTooLarge():
            return Permanent("too_large", str(error)[:300])
        case OverflowError() | UnicodeEncodeError() | bson.errors.BSONError():  # over 64 bits, half a surrogate pair
            return Invalid(detail=f"holds a value that cannot be stored: {error}"[:300])
        case pymongo.errors.ConnectionFailure() | pymongo.errors.ExecutionTimeout():
            return Unavailable(f"store: {type(error).__name__}: {str(error)[:200]}")
        case OperationFailure(code=code) if code == _AUTHENTICATION_FAILED:
            return Unavailable(f"store: {str(error)[:200]}", reason=REFUSES)
        case OperationFailure(code=code) if code == _OUT_OF_DISK_SPACE:
            return Unavailable(f"store: {str(error)[:200]}", reason="full")
    return None


def _bulk(error: pymongo.errors.BulkWriteError) -> KurirError:
    details = error.details or {}
    wrong = {int(e["index"]): e for e in details.get("writeErrors", [])}
    if any(e.get("code") == _OUT_OF_DISK_SPACE for e in wrong.values()):
        return Unavailable("store: out of disk space", reason="full")
    return BulkFailed(
        int(details.get("nInserted", 0)),
        sorted(i for i, e in wrong.items() if e.get("code") == 11_000),
        {i: str(e.get("errmsg", ""))[:300] for i, e in wrong.items() if e.get("code") != 11_000},
    )
