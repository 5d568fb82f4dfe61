"""The grid as CSV."""

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import replace

from accounts.domain import Account
from accounts.ports import AccountStore, Query
from accounts.views import AccountView

PAGE = 200
COLUMNS = (
    "id", "name", "category", "channel", "active", "connection", "login", "reason", "identity",
    "last_proof_of_life", "worker", "notes", "created_at", "updated_at",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def header() -> str:
    """Return the first line, after a byte order mark by which spreadsheets know UTF-8."""
    return "\ufeff" + _line(list(COLUMNS))


def row(account: AccountView) -> str:
    """Return one account's line."""
    proof = account.last_proof_of_life
    return _line(
        [
            account.id,
            account.name,
            account.category,
            account.channel,
            "yes" if account.active else "no",
            account.dot,
            account.session.status,
            account.session.reason,
            account.session.identity,
            proof.isoformat(timespec="seconds") if proof else "",
            account.session.worker,
            account.notes,
            account.created_at.isoformat(timespec="seconds"),
            account.updated_at.isoformat(timespec="seconds"),
        ]
    )


async def pages(store: AccountStore, query: Query) -> AsyncIterator[Account]:
    """Yield every account that *query* lets through, without holding them all."""
    after: str | None = None
    while page := await store.page(replace(query, limit=PAGE, after=after)):
        for account in page:
            yield account
        after = page[-1].order


def _line(cells: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow([_harmless(str(cell)) for cell in cells])
    return text.getvalue()


def _harmless(cell: str) -> str:
    """Keep a spreadsheet from running a cell as a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
