"""Options that several commands share, and what they mean."""

import os
from pathlib import Path
from typing import Annotated

import typer

from kurir.home import Home, Trouble, default_folder

HomeOption = Annotated[Path | None, typer.Option("--home", help="Data folder; $KURIR_HOME, else ~/.local/share/kurir.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
NatsOption = Annotated[str | None, typer.Option("--nats-url", help="$NATS_URL, else the running platform's.")]


def home_at(folder: Path | None) -> Home:
    """Return the data folder that was named, or the usual one."""
    return Home((folder or default_folder()).expanduser().absolute())


def bus_at(given: str | None, home: Path | None) -> str:
    """Return the bus that was named, $NATS_URL, or the running platform's. Raises Trouble where there is none."""
    state = home_at(home).state()
    found = given or os.environ.get("NATS_URL") or (str(state["nats_url"]) if state else None)
    if not found:
        raise Trouble("no bus: set NATS_URL, or start one with kurir up")
    return found
