"""`make bench`: every figure against its baseline, run side by side; a table, and build/bench.json.

usage: run.py [FIGURE …]; figures: dispatch, email.
"""

import asyncio
import json
import platform
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from tests.bench import dispatch, end_to_end
from tests.bench.measure import Figure, stores

FIGURES: dict[str, Callable[[str], Awaitable[list[Figure]]]] = {
    "dispatch": dispatch.measure,
    "email": end_to_end.measure,
}


async def figures(names: list[str]) -> AsyncIterator[Figure]:
    """Yield each figure, once per store found on this machine."""
    for name in names:
        for store in stores():
            print(f"measuring {name} on {store} …", file=sys.stderr, flush=True)
            for figure in await FIGURES[name](store):
                yield figure


def machine() -> dict[str, object]:
    """Return what the figures were measured on."""
    memory = round(psutil.virtual_memory().total / 1e9)
    return {"cpu": platform.processor() or platform.machine(), "cores": psutil.cpu_count(), "memory_gb": memory,
            "python": platform.python_version(), "stores": stores()}  # fmt: skip


def table(found: list[Figure]) -> Table:
    """Return the figures for people."""
    rows = Table(title="Kurir's figures")
    for column in ("figure", "store", "value", "baseline", "ratio", "aim", "met"):
        rows.add_column(column)
    for f in found:
        ratio = "" if f.ratio is None else f"{f.ratio:.2f}"
        baseline = "" if f.baseline is None else f"{f.baseline:,.0f}"
        met = "" if f.met is None else ("yes" if f.met else "no")
        rows.add_row(f.figure, f.store, f"{f.value:,.1f} {f.unit}", baseline, ratio, f.aim, met)
    return rows


async def main() -> int:
    """Measure, print, write."""
    names = sys.argv[1:] or list(FIGURES)
    if unknown := set(names) - set(FIGURES):
        print(f"unknown figures: {', '.join(sorted(unknown))}; there is: {', '.join(FIGURES)}", file=sys.stderr)
        return 2
    write([figure async for figure in figures(names)])
    return 0


def write(found: list[Figure]) -> None:
    """Write build/bench.json and print the table."""
    Path("build").mkdir(exist_ok=True)
    text = json.dumps({"machine": machine(), "figures": [f.as_dict() for f in found]}, indent=1)
    Path("build/bench.json").write_text(text + "\n", "utf-8")
    Console(width=160).print(table(found))


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
