"""What the platform takes before it does anything: seconds from `kurir up` to ready, and memory while idle."""

import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from tests.bench.measure import Figure

UP_SECONDS = 10.0
IDLE_MB = 900.0
SETTLE_SECONDS = 10.0
"""Idle is measured so long after ready: what starting left behind has been given back."""


async def measure(store: str) -> list[Figure]:
    """Return the time of a first start in an empty folder, of a second one, and the idle memory, service by service."""
    with tempfile.TemporaryDirectory(prefix="kurir-bench-") as folder:
        kurir = Kurir(Path(folder) / "kurir", store)
        try:
            first = await kurir.up()
            await kurir.down()
            again = await kurir.up()
            await asyncio.sleep(SETTLE_SECONDS)
            parts = kurir.memory()
        finally:
            await kurir.down()
    slowest, total = max(first, again), sum(parts.values())
    return [
        Figure("kurir up to every service ready", slowest, "s", aim="<= 10 s", met=slowest <= UP_SECONDS, store=store),
        Figure("the same, folder made before", again, "s", store=store),
        Figure("memory of the whole platform, idle", total, "MB", aim="<= 900 MB", met=total <= IDLE_MB, store=store),
        *(Figure(f"memory idle: {name}", value, "MB", store=store) for name, value in parts.items()),
    ]


class Kurir:
    """A platform driven by the `kurir` command alone, as a person does."""

    def __init__(self, home: Path, store: str) -> None:
        self.home = home
        self._environment = {**os.environ, "KURIR_STORE_ENGINE": store}

    async def up(self) -> float:
        """Return seconds from the start of `kurir up` until `kurir status` finds every service ready."""
        began = time.perf_counter()
        assert await self._run("up", "--detach") == 0
        while await self._run("status"):
            assert time.perf_counter() - began < 90, "not ready"
        return time.perf_counter() - began

    async def down(self) -> None:
        """Stop everything."""
        await self._run("down")

    def memory(self) -> dict[str, float]:
        """Return MB by process, its own children included; the supervisor as `kurir`."""
        state: dict[str, Any] = json.loads((self.home / "running.json").read_text("utf-8"))
        parts = {name: process["pid"] for name, process in state["processes"].items()}
        found = {name: sum(pss_mb(p.pid) for p in family(pid)) for name, pid in parts.items()}
        return {**found, "kurir": pss_mb(state["pid"])}

    async def _run(self, *words: str) -> int:
        command = [sys.executable, "-m", "kurir", *words, "--home", str(self.home)]
        out = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(*command, stdout=out, env=self._environment)
        return await process.wait()


def family(pid: int) -> list[psutil.Process]:
    """Return a process and all that it started."""
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def pss_mb(pid: int) -> float:
    """Return a process's proportional share of memory, in MB: what several share is divided among them."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / 1e6
