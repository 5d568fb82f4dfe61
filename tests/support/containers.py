"""MongoDB and NATS in containers, where a Docker engine answers (KURIR_TEST_CONTAINERS=0 leaves it alone)."""

import os
from typing import Any

MONGO_IMAGE = os.environ.get("KURIR_TEST_MONGO_IMAGE", "mongo:7")
NATS_IMAGE = os.environ.get("KURIR_TEST_NATS_IMAGE", "nats:2.12-alpine")


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


class Container:
    """A started container; `url` names its service."""

    def __init__(self, image: str, port: int, scheme: str, *, command: str = "", log: str) -> None:
        """Start *image* and wait for *log* in its output. Raises what Docker raises."""
        from testcontainers.core.container import DockerContainer  # noqa: PLC0415  # starts threads when imported
        from testcontainers.core.waiting_utils import wait_for_logs  # noqa: PLC0415

        container: Any = DockerContainer(image).with_exposed_ports(port)
        if command:
            container = container.with_command(command)
        container.start()
        self._container = container
        wait_for_logs(container, log, timeout=60)
        self.name = f"container {image}"
        self.url = f"{scheme}://{container.get_container_host_ip()}:{container.get_exposed_port(port)}"

    def stop(self) -> None:
        """Remove the container."""
        self._container.stop()


def mongo() -> Container:
    """Start MongoDB."""
    return Container(MONGO_IMAGE, 27_017, "mongodb", log="Waiting for connections")


def nats() -> Container:
    """Start NATS with JetStream."""
    return Container(NATS_IMAGE, 4_222, "nats", command="-js", log="Server is ready")
