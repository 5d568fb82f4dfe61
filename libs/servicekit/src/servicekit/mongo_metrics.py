"""What is written to the store, counted where the driver sends it: documents, statements and commands."""

from collections.abc import Mapping
from typing import Any

from prometheus_client import Counter
from pymongo import monitoring

COMMANDS = Counter("kurir_store_write_commands_total", "Write commands the store answered", ["collection"])
STATEMENTS = Counter(
    "kurir_store_write_statements_total",
    "What write commands held: insert, one (an update or delete of at most one document), range (of any number)",
    ["collection", "kind"],
)
DOCUMENTS = Counter("kurir_store_written_total", "Documents inserted, changed or deleted", ["collection"])

_WRITES = ("insert", "update", "delete", "findAndModify")


class WriteCounter(monitoring.CommandListener):
    """Counts each write command once the store has answered it."""

    def __init__(self) -> None:
        """Nothing is under way."""
        self._under_way: dict[int, tuple[str, dict[str, int]]] = {}

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """Note what a write command holds."""
        if event.command_name in _WRITES:
            name = str(event.command[event.command_name])
            self._under_way[event.request_id] = name, statements(event.command_name, event.command)

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Count it."""
        name, held = self._under_way.pop(event.request_id, ("", {}))
        if not name:
            return
        COMMANDS.labels(name).inc()
        for kind, count in held.items():
            STATEMENTS.labels(name, kind).inc(count)
        DOCUMENTS.labels(name).inc(written(event.command_name, event.reply))

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Forget it."""
        self._under_way.pop(event.request_id, None)


def statements(command: str, body: Mapping[str, Any]) -> dict[str, int]:
    """Return how many inserts, single writes and range writes a command holds."""
    if command == "insert":
        return {"insert": len(body["documents"])}
    if command == "findAndModify":
        return {"one": 1}
    given = body["updates"] if command == "update" else body["deletes"]
    several = sum(bool(one.get("multi") or ("q" in one and one.get("limit") == 0)) for one in given)
    found = {"range": several, "one": len(given) - several}
    return {kind: count for kind, count in found.items() if count}


def written(command: str, reply: Mapping[str, Any]) -> int:
    """Return how many documents an answer says were written."""
    if command == "findAndModify":
        return int((reply.get("lastErrorObject") or {}).get("n", 0))
    if command == "update":
        return int(reply.get("nModified", 0)) + len(reply.get("upserted") or ())
    return int(reply.get("n", 0))
