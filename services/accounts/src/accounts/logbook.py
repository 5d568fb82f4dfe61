"""The Logs tab: log lines of every account, kept and searchable."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from contracts.events import LogLine
from pydantic import BaseModel, Field
from servicekit.mongo import ASCENDING, DESCENDING, BulkFailed, Collection, Database, IndexModel, ensure_indexes


class Line(BaseModel):
    """A log line as a page shows it."""

    id: str
    at: datetime
    type: str = Field(description="info, warning or error")
    text: str
    row: str | None = Field(default=None, description="The outbox row it is about")


class Logbook:
    """Keeps lines for some days; the same line twice is one line."""

    def __init__(self, db: Database, days: int) -> None:
        """Use the collection `account_logs`."""
        self._lines: Collection = db["account_logs"]
        self._days = days

    async def prepare(self) -> None:
        """Create the indexes; lines leave by the one on their time.

        Ascending although read backwards: SecantusDB 0.7 loses matches of `$gte` on strings in descending indexes.
        """
        await ensure_indexes(
            self._lines,
            [
                IndexModel([("order", ASCENDING)], name="order"),
                IndexModel([("at", ASCENDING)], name="age", expireAfterSeconds=self._days * 86_400),
            ],
        )

    async def add(self, lines: Sequence[LogLine]) -> None:
        """Keep lines; those known already are skipped. Raises Unavailable."""
        if not lines:
            return
        try:
            await self._lines.insert_many([_document(line) for line in lines])
        except BulkFailed as failed:
            if failed.others:
                raise

    async def page(
        self, account_id: str, *, after: str | None, limit: int, kind: str | None = None, text: str = ""
    ) -> list[tuple[str, Line]]:
        """Return lines with their sort keys, the newest first."""
        low, high = f"{account_id}/", after or f"{account_id}0"  # "0" follows "/"
        where: dict[str, Any] = {"order": {"$gte": low, "$lt": high}}
        if kind:
            where["type"] = kind
        if text:
            where["text"] = {"$regex": re.escape(text), "$options": "i"}
        found = await self._lines.find_list(where, sort=[("order", DESCENDING)], limit=limit)
        return [(str(one["order"]), Line(id=one["_id"], **_shown(one))) for one in found]

    async def remove_all(self, account_id: str) -> None:
        """Delete an account's lines."""
        await self._lines.delete_many({"order": {"$gte": f"{account_id}/", "$lt": f"{account_id}0"}})


def _document(line: LogLine) -> dict[str, Any]:
    milliseconds = int(line.at.timestamp() * 1000)
    return {
        "_id": line.id,
        "order": f"{line.account_id}/{milliseconds:013d}/{line.id}",
        "account": line.account_id,
        "at": line.at,
        "type": line.type,
        "text": line.text,
        "row": line.row,
    }


def _shown(document: dict[str, Any]) -> dict[str, Any]:
    return {name: document.get(name) for name in ("at", "type", "text", "row")}
