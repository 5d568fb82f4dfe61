"""An import: what was announced, which pieces have come, and the rules between."""

import math
from datetime import datetime
from enum import StrEnum

from contracts.base import Time
from contracts.channels import BROWSERS, Channel
from contracts.ids import digest
from pydantic import BaseModel, ConfigDict, Field
from servicekit.errors import Conflict, Invalid, NotFound

from accounts.catalog import TITLES
from accounts.domain import Account

PER_ACCOUNT = 3
"""Half uploads an account may have; a fourth is refused until one is given up or expires."""


class State(StrEnum):
    """What became of an import."""

    OPEN = "open"
    COMPLETE = "complete"
    TAKEN_OVER = "taken_over"
    REFUSED = "refused"
    REPLACED = "replaced"


class Chunk(BaseModel):
    """A piece that has come: its digest in hex, and the object that holds it sealed."""

    model_config = ConfigDict(frozen=True)

    sha256: str
    object: str


class Import(BaseModel):
    """One session on its way."""

    model_config = ConfigDict(frozen=True)

    id: str
    account_id: str
    channel: Channel
    size: int
    sha256: str
    chunk_bytes: int
    complete: bool = False
    chunks: dict[int, Chunk] = Field(default_factory=dict)
    object: str | None = Field(default=None, description="The whole, sealed, once it is complete")
    created_by: str
    created_at: Time
    expires_at: Time
    completed_at: Time | None = None

    @property
    def chunks_total(self) -> int:
        """Return how many pieces make the whole."""
        return math.ceil(self.size / self.chunk_bytes)

    @property
    def missing(self) -> list[int]:
        """Return the numbers of the pieces that have not come."""
        return [n for n in range(self.chunks_total) if n not in self.chunks]

    def length(self, number: int) -> int:
        """Return how many bytes piece *number* has. Raises NotFound where there is none."""
        if not 0 <= number < self.chunks_total:
            raise NotFound(f"There is no chunk {number}: they are numbered 0 to {self.chunks_total - 1}.")
        return min(self.chunk_bytes, self.size - number * self.chunk_bytes)

    def require_open(self, now: datetime) -> None:
        """Raise Conflict once it is complete or has expired."""
        if self.complete:
            raise Conflict("The import is complete.", reason="import_complete")
        if self.expires_at <= now:
            raise Conflict("The import has expired: begin it again.", reason="import_expired")


def import_id(account_id: str, size: int, sha256: str) -> str:
    """Return the id of this very content for this account: the same session is never two imports."""
    return f"imp_{digest('session import', account_id, size, sha256)[:24]}"


def require_browser(account: Account) -> None:
    """Raise Conflict where the account has no browser session or is being deleted."""
    account.require_editable()
    if account.channel not in BROWSERS:
        raise Conflict(
            f"{TITLES[account.channel]} does not log in with a browser: there is no session to import.",
            reason="no_browser_session",
        )


def require_size(size: int, most: int) -> None:
    """Raise Invalid for a session larger than *most* bytes."""
    if size > most:
        raise Invalid(
            {"size": f"must be at most {most} bytes (ACCOUNTS_IMPORT_MAX_BYTES); leave the browser's cache out"}
        )
