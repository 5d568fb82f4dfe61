"""The parts' log files are kept small: copied aside and emptied, since each part keeps its own file open."""

import asyncio
import os
import shutil
from pathlib import Path

from kurir.home import Trouble

VARIABLE = "KURIR_LOG_MAX_MB"
DEFAULT_MB = 20
KEEP = 3
"""So many older files are kept of each log: `campaigns.log.1` is the newest of them."""
LOOK_SECONDS = 10.0


def limit_bytes() -> int:
    """Return how large a log may grow, as `KURIR_LOG_MAX_MB` says; 0: for ever. Raises Trouble."""
    text = os.environ.get(VARIABLE, str(DEFAULT_MB))
    if not text.isdecimal():
        raise Trouble(f"{VARIABLE}={text}: how many megabytes a log may grow to, such as 20; 0: never cut")
    return int(text) * 1_000_000


async def watch(folder: Path, limit: int, every_seconds: float = LOOK_SECONDS) -> None:
    """Keep the logs of *folder* below *limit* bytes (and what is written until the next look), until cancelled."""
    while limit:
        await asyncio.to_thread(look, folder, limit)
        await asyncio.sleep(every_seconds)


def look(folder: Path, limit: int) -> None:
    """Cut what is too large; where there is no room for a copy, it is tried again at the next look."""
    for log in folder.glob("*.log"):
        try:
            if log.stat().st_size > limit:
                cut(log)
        except OSError:
            continue


def cut(log: Path) -> None:
    """Copy a log to `.1`, the older ones moving up, and empty it. Raises OSError; the log is then as it was.

    A part appends to its open file, so it goes on at the beginning. What it writes between the end of the copy and the
    emptying, some microseconds, is lost.
    """
    draft = _older(log, 0)
    with log.open("rb+") as source:
        try:
            with draft.open("wb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        source.truncate(0)
    for number in range(KEEP - 1, -1, -1):
        if _older(log, number).exists():
            _older(log, number).replace(_older(log, number + 1))


def _older(log: Path, number: int) -> Path:
    return log.with_name(f"{log.name}.{number}")
