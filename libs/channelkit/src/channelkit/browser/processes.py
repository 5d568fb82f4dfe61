"""The processes of one account's browser: found by its profile folder, measured, and ended without leaving any.

A browser's own process names the profile in its command line; zygotes, renderers and the GPU process do not, but they
descend from it and are of its process group (Playwright makes each browser the leader of one).
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

_GONE = (psutil.NoSuchProcess, psutil.AccessDenied, ProcessLookupError)
_LOOK_SECONDS = 0.05


def browsers_of(profile: Path) -> list[psutil.Process]:
    """Return the processes whose command line names the profile (a shell wrapper, the browser), parents first."""
    wanted = f"--user-data-dir={profile}"
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(*_GONE):
            if wanted in process.cmdline():
                found.append(process)
    return sorted(found, key=lambda process: process.pid)


def family(roots: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Return *roots* and all that descend from them, each once."""
    found: dict[int, psutil.Process] = {}
    for root in roots:
        with contextlib.suppress(*_GONE):
            found |= {process.pid: process for process in (root, *root.children(recursive=True))}
    return list(found.values())


def pss_bytes(roots: Iterable[psutil.Process]) -> int:
    """Return the memory of a browser's whole tree: PSS, where a page that several processes share is divided among them.

    Only Linux tells PSS; elsewhere it is the resident size.
    """
    total = 0
    for process in family(roots):
        with contextlib.suppress(*_GONE):
            memory = process.memory_full_info()
            total += getattr(memory, "pss", memory.rss)
    return total


async def gone(profile: Path, within_seconds: float) -> bool:
    """Wait for the profile's browser to end by itself and return whether it has."""
    deadline = time.monotonic() + within_seconds
    while await asyncio.to_thread(browsers_of, profile):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(_LOOK_SECONDS)
    return True


def kill(profile: Path, within_seconds: float = 5.0) -> int:
    """End the profile's browser with its whole process group, and return how many processes that were.

    Raises TimeoutError where one is still there in the end (a process the kernel cannot end, such as on a dead disk).
    """
    killed: dict[int, psutil.Process] = {}
    deadline = time.monotonic() + within_seconds
    while roots := browsers_of(profile):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(roots)} processes of {profile} do not end")
        members = family(roots)
        killed |= {process.pid: process for process in members}
        for process in members:
            _kill(process)
        time.sleep(_LOOK_SECONDS)
    return len(killed)


def _kill(process: psutil.Process) -> None:
    with contextlib.suppress(*_GONE):
        if os.getpgid(process.pid) == process.pid and process.pid != os.getpgrp():
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
