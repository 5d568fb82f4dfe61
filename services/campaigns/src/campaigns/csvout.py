"""CSV for people's spreadsheets: UTF-8 with a BOM, and no cell that a spreadsheet would run as a formula."""

import csv
import io
from collections.abc import AsyncIterator, Iterable, Sequence

from fastapi.responses import StreamingResponse

_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n")
_FLUSH_CHARS = 1 << 16


def guarded(cell: object) -> str:
    """Return a cell as text; one that begins like a formula gets an apostrophe in front.

    Phone numbers in E.164 begin with + and hold nothing but digits: they are harmless, and must survive a round trip.
    """
    text = "" if cell is None else str(cell)
    if text.startswith("+") and text[1:].isdigit():
        return text
    return f"'{text}" if text.startswith(_DANGEROUS) else text


async def lines(header: Sequence[str], rows: AsyncIterator[Iterable[object]]) -> AsyncIterator[bytes]:
    """Yield a CSV file in blocks."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    buffer.write("\ufeff")
    writer.writerow([guarded(cell) for cell in header])
    async for row in rows:
        writer.writerow([guarded(cell) for cell in row])
        if buffer.tell() > _FLUSH_CHARS:
            yield _taken(buffer)
    yield _taken(buffer)


def _taken(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode()


def download(name: str, header: Sequence[str], rows: AsyncIterator[Iterable[object]]) -> StreamingResponse:
    """Return a CSV download named *name*."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}
    return StreamingResponse(lines(header, rows), media_type="text/csv; charset=utf-8", headers=headers)
