"""Processes a platform left behind because its supervisor was killed: found by a mark in their environment, and stopped."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

MARK = "KURIR_PART_OF"
"""Every process of a platform carries the data folder under this name, and so do its children."""
PATIENCE_SECONDS = 15.0


def stop(folder: Path) -> list[int]:
    """End what still runs for *folder*, and return its process ids; call it with the folder's lock in hand.

    Only where the system has /proc; elsewhere nothing is found.
    """
    found = list(_running(folder))
    for pid in found:
        _send(pid, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and any(pid in found for pid in _running(folder)):
        time.sleep(0.1)
    for pid in _running(folder):
        _send(pid, signal.SIGKILL)
    return found


def _running(folder: Path) -> Iterator[int]:
    wanted = f"{MARK}={folder}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is somebody else's
            if wanted in (entry / "environ").read_bytes().split(b"\0") and int(entry.name) != os.getpid():
                yield int(entry.name)


def _send(pid: int, name: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, name)
