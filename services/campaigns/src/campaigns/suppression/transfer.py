"""Suppressions from a file, such as another system's list of unsubscribed addresses."""

import io
from collections.abc import Callable
from typing import Any

from servicekit.errors import Invalid

from campaigns.contacts import domain
from campaigns.contacts.importing import Row, read_table
from campaigns.context import Context
from campaigns.suppression import usecases

_ADDRESS = ("address", "alamat", "email", "e_mail", "surel", "phone", "telepon", "no_hp", "hp", "whatsapp", "telegram")
MAX_REPORTED = 1_000


async def take(ctx: Context, data: bytes, channel: str, source: str) -> dict[str, Any]:
    """Suppress every line's address; return counts and the refused lines. Safe to repeat. Raises Invalid, Unavailable."""
    table = read_table(io.BytesIO(data))
    names = {domain.variable_name(column): column for column in table.columns}
    address = next((names[name] for name in _ADDRESS if name in names), None)
    if address is None:
        raise Invalid({"file": f"has no column named address; columns: {', '.join(table.columns)[:300]}"})
    taken, refused = 0, []
    for row in table.rows():
        try:
            given = _cells(row, names)
            await usecases.suppress(
                ctx, given("channel") or channel, row.cells.get(address, ""), given("reason") or "manual", source,
                note=given("note"),
            )  # fmt: skip
            taken += 1
        except Invalid as error:
            refused += [{"line": row.line, "field": f, "reason": texts[0]} for f, texts in error.fields.items()]
    return {"suppressed": taken, "rejected": len(refused), "rejects": refused[:MAX_REPORTED]}


def _cells(row: Row, names: dict[str, str]) -> Callable[[str], str]:
    if row.problem:
        raise Invalid({"": row.problem})
    return lambda name: row.cells.get(names.get(name, ""), "").strip()
