"""What a figure is, and what every benchmark needs: the fast server, a platform per store, memory of a process."""

import asyncio
import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
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
        """Return the line as it stands in build/bench.json; the store is part of its name there."""
        name = f"{self.figure}, on {self.store}" if self.store else self.figure
        return {"figure": name, "value": self.value, "unit": self.unit, "baseline": self.baseline, "ratio": self.ratio,
                "aim": self.aim, "met": self.met}  # fmt: skip


def at_least(
    figure: str, value: float, unit: str, *, baseline: float, aim: float, what: str, store: str = ""
) -> Figure:
    """Return a figure whose aim is to be *aim* times its baseline, or more; *what* names the baseline."""
    ratio = value / baseline
    return Figure(figure, value, unit, baseline, ratio, f">= {aim:g} x {what}", ratio >= aim, store)


def at_most(figure: str, value: float, unit: str, *, baseline: float, aim: float, what: str, store: str = "") -> Figure:
    """Return a figure whose aim is to be *aim* times its baseline, or less."""
    ratio = value / baseline
    return Figure(figure, value, unit, baseline, ratio, f"<= {aim:g} x {what}", ratio <= aim, store)


def stores() -> list[str]:
    """Return the stores found on this machine."""
    return [engine for engine in ENGINES if program(engine)]


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Yield a folder of the measurement's own, and remove it."""
    path = Path(tempfile.mkdtemp(prefix="kurir-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.asynccontextmanager
async def platform_on(engine: str) -> AsyncIterator[Live]:
    """Run a whole platform on one store, in a folder of its own."""
    os.environ["KURIR_STORE_ENGINE"] = engine
    try:
        with folder() as path:
            async with live(path / "kurir") as running:
                yield running
    finally:
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
