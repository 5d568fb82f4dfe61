"""What a figure is, and what every benchmark needs: the fast server, a platform per store, memory of a process."""

import asyncio
import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from kurir.infrastructure import ENGINES, program

from tests.support.live import Live, live

BARE_LOOP = Path(__file__).with_name("bare_loop.py")


@dataclass
class Figure:
    """One line of the table. `ratio` is value / baseline, measured side by side in the same run."""

    figure: str
    value: float
    unit: str
    baseline: float | None = None
    ratio: float | None = None
    aim: str = ""
    met: bool | None = None
    store: str = ""

    def as_dict(self) -> dict[str, object]:
        """Return the line as it stands in build/bench.json."""
        return asdict(self)


def stores() -> list[str]:
    """Return the stores found on this machine."""
    return [engine for engine in ENGINES if program(engine)]


@contextlib.asynccontextmanager
async def platform_on(engine: str) -> AsyncIterator[Live]:
    """Run a whole platform on one store, in a folder of its own."""
    os.environ["KURIR_STORE_ENGINE"] = engine
    folder = Path(tempfile.mkdtemp(prefix="kurir-bench-"))
    try:
        async with live(folder / "kurir") as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.environ.pop("KURIR_STORE_ENGINE", None)


@contextlib.asynccontextmanager
async def fast_smtp(rtt_ms: float = 0) -> AsyncIterator[int]:
    """Run the fast SMTP server and yield its port."""
    command = [sys.executable, "-m", "practice.fastsmtp", "--port", "0", "--rtt-ms", str(rtt_ms)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield int(json.loads(await process.stdout.readline())["port"])
    finally:
        process.terminate()
        await process.wait()


async def bare_loop(count: int, connections: int, port: int, *, ready: bool = False) -> dict[str, float]:
    """Return messages per second and CPU microseconds per message of the loop people write by hand."""
    command = [sys.executable, str(BARE_LOOP), str(count), str(connections), str(port), *(["ready"] if ready else [])]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    text, _ = await process.communicate()
    found: dict[str, float] = json.loads(text)
    return found


def memory_mb(pid: int) -> float:
    """Return the resident memory of a process, in MB."""
    return float(psutil.Process(pid).memory_info().rss) / 1e6
