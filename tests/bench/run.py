"""`make bench`: every figure against its baseline, run side by side; a table, and build/bench.json.

usage: run.py [NAME …]; the names are the keys of FIGURES below. Ends with 0 also where an aim is missed: the table says
so; with 1 where something could not be measured.
"""

import asyncio
import json
import platform
import sys
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from tests.bench import (
    bad_account,
    browsers,
    dispatch,
    end_to_end,
    events,
    flat,
    footprint,
    inbound,
    lane,
    lists,
    memory,
    telegram,
    whatsapp,
    worker_off,
)
from tests.bench.measure import Figure, stores

RESULT = Path("build/bench.json")
Figures = Awaitable[list[Figure]]


@dataclass(frozen=True)
class Once:
    """A measurement without a store in its way."""

    measure: Callable[[], Figures]

    def runs(self) -> list[tuple[str, Callable[[], Figures]]]:
        """Return what is to be measured, named."""
        return [("", self.measure)]


@dataclass(frozen=True)
class PerStore:
    """A measurement taken on each store found on this machine."""

    measure: Callable[[str], Figures]

    def runs(self) -> list[tuple[str, Callable[[], Figures]]]:
        """Return what is to be measured, named."""
        return [(store, lambda store=store: self.measure(store)) for store in stores()]


FIGURES: dict[str, Once | PerStore] = {
    "events": PerStore(events.measure),
    "inbound": PerStore(inbound.measure),
    "lists": PerStore(lists.measure),
    "lane": Once(lane.measure),
    "dispatch": PerStore(dispatch.measure),
    "email": PerStore(end_to_end.measure),
    "worker-off": Once(worker_off.measure),
    "memory": Once(memory.measure),
    "browsers": Once(browsers.measure),
    "telegram": Once(telegram.measure),
    "whatsapp": Once(whatsapp.measure),
    "flat": PerStore(flat.measure),
    "footprint": PerStore(footprint.measure),
    "bad-account": Once(bad_account.measure),
}


async def figures(names: list[str], found: list[Figure]) -> bool:
    """Measure, adding to *found* and to the file as it goes; return whether everything could be measured."""
    good = True
    for name in names:
        for store, measure in FIGURES[name].runs():
            print(f"measuring {name}{' on ' if store else ''}{store} …", file=sys.stderr, flush=True)
            try:
                found += await measure()
            except Exception:  # one figure that fails must not cost the others
                traceback.print_exc()
                good = False
            write(found)
    return good


def machine() -> Figure:
    """Return what the figures were measured on, as a line of its own."""
    memory = round(psutil.virtual_memory().total / 1e9)
    words = f"cores: {_cpu()}, {memory} GB, Python {platform.python_version()}, stores: {', '.join(stores())}"
    return Figure("machine", psutil.cpu_count() or 0, words)


def _cpu() -> str:
    """Return the processor's name: Linux keeps it where `platform` does not look."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def table(found: list[Figure]) -> Table:
    """Return the figures for people, a column for each store; what needs none stands in the first."""
    columns = list(dict.fromkeys(f.store for f in found))
    rows = Table(title="Kurir's figures", caption=machine().unit, show_lines=True)
    for column in ("figure", *(store or "no store needed" for store in columns)):
        rows.add_column(column)
    for name in dict.fromkeys(f.figure for f in found):
        cells = {f.store: _cell(f) for f in found if f.figure == name}
        rows.add_row(name, *(cells.get(store, "") for store in columns))
    return rows


def _cell(f: Figure) -> str:
    value = f"{f.value:,.1f} {f.unit}"
    ratio = "" if f.ratio is None or f.baseline is None else f" = {f.ratio:.2f} x {f.baseline:,.0f}"
    aim = f"\naim {f.aim}: {'met' if f.met else 'missed'}" if f.aim and f.met is not None else ""
    return value + ratio + aim


def write(found: list[Figure], result: Path = RESULT) -> None:
    """Write build/bench.json, or another file: a list of figures, the machine's line last."""
    result.parent.mkdir(exist_ok=True)
    text = json.dumps([f.as_dict() for f in (*found, machine())], indent=1)
    result.write_text(text + "\n", "utf-8")


async def main() -> int:
    """Measure, print, write."""
    names = sys.argv[1:] or list(FIGURES)
    if unknown := set(names) - set(FIGURES):
        print(f"unknown figures: {', '.join(sorted(unknown))}; there is: {', '.join(FIGURES)}", file=sys.stderr)
        return 2
    found: list[Figure] = []
    good = await figures(names, found)
    if found:
        Console(width=180).print(table(found))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
