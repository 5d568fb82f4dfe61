"""Crashing a page for real: its renderer process is killed, found by the connection it listens on."""

import asyncio
import os
import signal

import psutil


async def crash_browser_page(port: int) -> int:
    """Kill the renderers of the browser whose end of a connection to us has this port; return how many.

    With one browser per account that is the account's page and no other.
    """
    return await asyncio.to_thread(_crash, port)


def _crash(port: int) -> int:
    owner = next((one.pid for one in psutil.net_connections("tcp") if one.laddr and one.laddr.port == port), None)
    if owner is None or owner == os.getpid():
        return 0
    renderers = [one for one in _browser_of(owner).children(recursive=True) if "--type=renderer" in one.cmdline()]
    for renderer in renderers:
        renderer.send_signal(signal.SIGKILL)
    return len(renderers)


def _browser_of(pid: int) -> psutil.Process:
    """Return the browser's main process: the nearest one up that is of no `--type`."""
    process = psutil.Process(pid)
    while any(word.startswith("--type=") for word in process.cmdline()):
        parent = process.parent()
        if parent is None:
            break
        process = parent
    return process
