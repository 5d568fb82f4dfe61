"""The uploaded file of a campaign's recipients: its columns become variables."""

import asyncio
from typing import Any, BinaryIO

from campaigns.contacts.importing import mapping, upload
from campaigns.contacts.importing.table import Table, read_table
from campaigns.contacts.importing.upload import Options
from campaigns.context import Context


async def store(ctx: Context, file: BinaryIO, options: Options) -> dict[str, Any]:
    """Keep a file and return its description with columns and mapping. Raises Invalid for what is no table."""
    table = await asyncio.to_thread(_table, file, options.encoding, options.delimiter)
    columns = mapping.checked(options.mapping, table.columns)
    pieces, size = await upload.keep(ctx, file)
    return {
        "filename": options.filename, "size": size, "pieces": pieces, "encoding": table.encoding,
        "delimiter": table.delimiter, "columns": table.columns, "mapping": columns,
    }  # fmt: skip


def read(file: BinaryIO, described: dict[str, Any]) -> Table:
    """Return the table in a stored file, read as it was when it came in."""
    return _table(file, described["encoding"], described["delimiter"])


def _table(file: BinaryIO, encoding: str | None, delimiter: str | None) -> Table:
    return read_table(file, encoding=encoding, delimiter=delimiter)
