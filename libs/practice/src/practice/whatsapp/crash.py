"""Crashing a page for real: its renderer process is killed, found by the connection it listens on."""

import asyncio
import contextlib
import signal

import psutil


async def crash_browser_page(connection: tuple[int, int]) -> int:
    """Kill the renderers of the browser at the other end of a connection (its port, ours); return how many.

    With one browser per account that is the account's page and no other. Raises LookupError when there is none.
    """
    return await asyncio.to_thread(_crash, *connection)


def _crash(theirs: int, ours: int) -> int:
    renderers = [one for one in _browser_of(_owner(theirs, ours)).children(recursive=True) if _is_renderer(one)]
    for renderer in renderers:
        renderer.send_signal(signal.SIGKILL)
    if not renderers:
        raise LookupError("no page to crash")
    return len(renderers)


def _owner(theirs: int, ours: int) -> int:
    """Return the process that holds the other end. A port alone may serve several connections, to other servers."""
    for one in psutil.net_connections("tcp"):
        if one.laddr and one.raddr and (one.laddr.port, one.raddr.port) == (theirs, ours) and one.pid:
            return int(one.pid)
    raise LookupError("the page's connection is closed")


def _is_renderer(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return "--type=renderer" in process.cmdline()
    return False


def _browser_of(pid: int) -> psutil.Process:
    """Return the browser's main process: the nearest one up that is of no `--type`."""
    process = psutil.Process(pid)
    while any(word.startswith("--type=") for word in process.cmdline()):
        parent = process.parent()
        if parent is None:
            break
        process = parent
    return process
