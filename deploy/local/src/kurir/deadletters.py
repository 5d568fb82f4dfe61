"""What nobody could handle: the dead letters of a bus, as a list for a person."""

from typing import Any

from contracts import headers, subjects
from rich.table import Table
from servicekit import stream_reader
from servicekit.errors import KurirError

from kurir.home import Trouble
from kurir.topology import connect

SHOWN_BYTES = 2_000


async def read(nats_url: str) -> list[dict[str, Any]]:
    """Return {at, subject, error, tries, consumer, text}, the newest last; raises Trouble."""
    connection = await connect(nats_url)
    try:
        found = stream_reader.read(connection.jetstream(timeout=15), "DLQ", subjects.dead_letter(">"))
        return [_letter(message) async for message in found]
    except KurirError as error:
        raise Trouble(error.detail) from error
    finally:
        await connection.close()


def _letter(message: Any) -> dict[str, Any]:
    about = message.headers or {}
    return {
        "at": message.metadata.timestamp.isoformat(timespec="seconds"),
        "subject": message.subject.removeprefix(subjects.dead_letter("")),
        "error": about.get(headers.ERROR, ""),
        "tries": int(about.get(headers.TRIES, 0)),
        "consumer": about.get(headers.CONSUMER, ""),
        "text": message.data[:SHOWN_BYTES].decode("utf-8", "replace"),
    }


def table(found: list[dict[str, Any]]) -> Table:
    """Return the list for people; the messages themselves are in the JSON form only."""
    rows = Table(title=f"{len(found)} dead letters (kept for 30 days)")
    for column in ("at", "subject", "tries", "error"):
        rows.add_column(column, overflow="fold")
    for letter in found:
        rows.add_row(letter["at"], letter["subject"], str(letter["tries"]), letter["error"])
    return rows
