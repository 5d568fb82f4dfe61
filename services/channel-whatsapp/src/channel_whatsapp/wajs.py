"""The wa-js bundle: where it lies, and its text, read once for all accounts."""

import asyncio
from pathlib import Path

from servicekit.errors import Permanent

_NAME = "wppconnect-wa.js"
PLACES = (
    Path(__file__).with_name(_NAME),
    Path(__file__).parents[2] / "web/node_modules/@wppconnect/wa-js/dist" / _NAME,
)
"""Beside the package, where an image or a wheel puts it; else where `make setup` does."""


class Bundle:
    """wa-js as the settings name it."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._text: str | None = None

    async def text(self) -> str:
        """Return it. Raises Permanent("wajs_missing")."""
        if self._text is None:
            self._text = await asyncio.to_thread(self._read)
        return self._text

    def _read(self) -> str:
        for place in [self._file] if self._file else PLACES:
            if place.is_file():
                return place.read_text("utf-8")
        wanted = self._file or " or ".join(map(str, PLACES))
        raise Permanent("wajs_missing", f"there is no wa-js bundle at {wanted}: make setup brings it")
