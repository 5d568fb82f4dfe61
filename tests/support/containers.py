"""MongoDB and NATS in containers, where a Docker engine answers (KURIR_TEST_CONTAINERS=0 leaves it alone)."""

import contextlib
import os
import socket
import time
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

MONGO_IMAGE = os.environ.get("KURIR_TEST_MONGO_IMAGE", "mongo:7")
NATS_IMAGE = os.environ.get("KURIR_TEST_NATS_IMAGE", "nats:2.15-alpine")


def docker_answers() -> bool:
    """Return whether an engine runs that we may use."""
    if os.environ.get("KURIR_TEST_CONTAINERS") == "0":
        return False
    import docker  # noqa: PLC0415  # comes with testcontainers; only looked at here

    try:
        client = docker.from_env(timeout=3)
    except Exception:  # no socket, no right to it: the embedded servers it is
        return False
    try:
        return bool(client.ping())
    except Exception:
        return False
    finally:
        client.close()


def _wait_until_it_speaks(host: str, port: int, scheme: str) -> None:
    """Docker's proxy takes connections before the server does: NATS greets, MongoDB answers a ping."""
    for _ in range(120):
        with contextlib.suppress(OSError, PyMongoError):
            if scheme == "nats":
                with socket.create_connection((host, port), timeout=1) as open_socket:
                    if open_socket.recv(4) == b"INFO":
                        return
            else:
                with MongoClient(host, port, directConnection=True, serverSelectionTimeoutMS=1000) as client:
                    client.admin.command("ping")
                    return
        time.sleep(0.5)
    raise TimeoutError(f"{scheme}://{host}:{port} did not speak within 60 s")


class Container:
    """A started container; `url` names its service."""

    def __init__(self, image: str, port: int, scheme: str, *, command: str = "") -> None:
        """Start *image* and wait until it takes connections. Raises what Docker raises, or TimeoutError."""
        from testcontainers.core.container import DockerContainer  # noqa: PLC0415  # starts threads when imported

        container: Any = DockerContainer(image).with_exposed_ports(port)
        if command:
            container = container.with_command(command)
        container.start()
        self._container = container
        host, outside = container.get_container_host_ip(), int(container.get_exposed_port(port))
        self.name, self.url = f"container {image}", f"{scheme}://{host}:{outside}"
        _wait_until_it_speaks(host, outside, scheme)

    def stop(self) -> None:
        """Remove the container."""
        self._container.stop()


def mongo() -> Container:
    """Start MongoDB."""
    return Container(MONGO_IMAGE, 27_017, "mongodb")


def nats() -> Container:
    """Start NATS with JetStream."""
    return Container(NATS_IMAGE, 4_222, "nats", command="-js")
