"""Running the platform in the foreground, or leaving it up in the background."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

from kurir import leftovers
from kurir.home import Home, Lock, Trouble
from kurir.platform import Options, Platform

DETACH_SECONDS = 90.0


@contextlib.asynccontextmanager
async def platform(home: Home, options: Options) -> AsyncIterator[Platform]:
    """Start a platform in *home* and stop it when the block ends, however it ends."""
    keys = home.open()
    with Lock(home):
        await asyncio.to_thread(leftovers.stop, home.folder)  # a killed supervisor's: they hold ports and the store
        home.state_file.unlink(missing_ok=True)
        running = Platform(home, keys, options)
        try:
            await running.start()
            yield running
        finally:
            await to_the_end(running.stop())


async def to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Await *work* also where the caller is cancelled meanwhile, once or often: half a stop leaves processes behind."""
    task, cancelled = asyncio.create_task(work), False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
    task.result()
    if cancelled:
        raise asyncio.CancelledError


async def foreground(home: Home, options: Options, announce: Callable[[dict[str, Any]], None]) -> None:
    """Run until a signal; every process is kept alive meanwhile."""
    await until(stop_signal(), _run(home, options, announce))


def stop_signal() -> asyncio.Event:
    """Return what Ctrl-C, SIGTERM and a closed terminal set."""
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    return stop


async def until(stop: asyncio.Event, work: Awaitable[None]) -> None:
    """Run *work*; when *stop* is set meanwhile, cancel it and let it clean up."""
    task = asyncio.ensure_future(work)
    waiter = asyncio.create_task(stop.wait())
    await asyncio.wait({task, waiter}, return_when=asyncio.FIRST_COMPLETED)
    waiter.cancel()
    if not task.done():
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _run(home: Home, options: Options, announce: Callable[[dict[str, Any]], None]) -> None:
    async with platform(home, options) as running:
        announce(running.state())
        await running.supervise()


def detach(home: Home, *, practice: bool) -> dict[str, Any]:
    """Start `kurir up` in the background and return its state once it is ready; raises Trouble with its last words."""
    home.open()
    log = home.logs / "kurir.log"
    command = [sys.executable, "-m", "kurir", "up", "--quiet", "--home", str(home.folder)]
    command += ["--practice"] if practice else []
    before = log.stat().st_size if log.exists() else 0
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
    deadline = time.monotonic() + DETACH_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            words = log.read_bytes()[before:].decode("utf-8", "replace").strip().splitlines() or ["no words"]
            raise Trouble(words[-1].removeprefix("error: "))
        if (state := home.state()) and state.get("pid") == process.pid:
            return state
        time.sleep(0.2)
    os.kill(process.pid, signal.SIGTERM)
    raise Trouble(f"the platform is not ready after {DETACH_SECONDS:.0f} s (log: {log})")


def stop(home: Home, seconds: float = 60.0) -> bool:
    """Stop the platform of *home* and wait until it has ended; False when none was up."""
    if not home.is_locked():
        return _stop_leftovers(home)
    state = home.state()
    if state is None:
        raise Trouble(f"a platform is just starting in {home.folder}: try again in a moment")
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(str(state["pid"])), signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while home.is_locked():
        if time.monotonic() > deadline:
            raise Trouble(f"process {state['pid']} has not ended after {seconds:.0f} s")
        time.sleep(0.1)
    return True


def _stop_leftovers(home: Home) -> bool:
    """End what a killed supervisor left behind; False when there was nothing."""
    if not home.lock_file.exists():
        return False
    with Lock(home):
        return bool(leftovers.stop(home.folder))
