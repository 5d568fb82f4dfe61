"""A file as the server keeps it."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file as uploaded; `kind` is photo or document."""

    id: int
    kind: str
    data: bytes
    mime: str
    attributes: list[Any]
    dc: int
    date: int

    @property
    def sha256(self) -> str:
        """The hex digest of its bytes."""
        return sha256(self.data).hexdigest()
