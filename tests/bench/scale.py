"""`make bench-scale`: 10,000 accounts on one channel, a large ledger, and both sync modes of NATS; minutes, by itself.

usage: scale.py [accounts] [ledger] [sync]. Prints a table and writes build/bench-scale.json.
"""

import asyncio
import sys
from pathlib import Path

from rich.console import Console

from tests.bench import ledger, many_accounts, run, sync_modes
from tests.bench.measure import Figure

RESULT = Path("build/bench-scale.json")
PARTS = {"accounts": many_accounts.measure, "ledger": ledger.measure, "sync": sync_modes.measure}


async def main() -> int:
    """Measure, print, write."""
    names = sys.argv[1:] or list(PARTS)
    if unknown := set(names) - set(PARTS):
        print(f"unknown parts: {', '.join(sorted(unknown))}; there is: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    found: list[Figure] = []
    for name in names:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        found += await PARTS[name]()
        run.write(found, RESULT)
    Console(width=180).print(run.table(found))
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
