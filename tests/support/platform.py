"""The servers of one test run: started once, by the process that controls it, and shared by its workers."""

import os
import tempfile
from pathlib import Path
from typing import Protocol

from tests.support import containers
from tests.support.servers import NatsServer, StoreServer, build_info

NATS_VARIABLE, MONGO_VARIABLE = "KURIR_TEST_NATS_URL", "KURIR_TEST_MONGO_URL"


class _Stoppable(Protocol):
    def stop(self) -> None: ...


class Platform:
    """NATS_URL and MONGO_URL if given, else containers where Docker answers, else processes."""

    def __init__(self) -> None:
        """Nothing is started yet."""
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._running: list[_Stoppable] = []
        self.lines: list[str] = []

    def nats(self) -> str:
        """Return the URL of NATS, starting it at the first call."""
        given = os.environ.get(NATS_VARIABLE) or os.environ.get("NATS_URL")
        if not given:
            given = self._container_url("nats") or self._process_url(NatsServer(self._path("nats")))
        elif NATS_VARIABLE not in os.environ:
            self.lines.append(f"nats: {given} (NATS_URL)")
        os.environ[NATS_VARIABLE] = given
        return given

    def mongo(self) -> str:
        """Return the URL of the store, starting it at the first call."""
        given = os.environ.get(MONGO_VARIABLE) or os.environ.get("MONGO_URL")
        if not given:
            given = self._container_url("mongo") or self._process_url(StoreServer(self._path("store")))
        if MONGO_VARIABLE not in os.environ:
            info = build_info(given)
            shown = {
                k: info[k] for k in ("version", "gitVersion", "modules", "storageEngines", "secantusdb") if k in info
            }
            self.lines.append(f"store: {given} buildInfo {shown}")
        os.environ[MONGO_VARIABLE] = given
        return given

    def stop(self) -> None:
        """Stop what was started here."""
        for running in self._running:
            running.stop()
        if self._running:
            os.environ.pop(NATS_VARIABLE, None)
            os.environ.pop(MONGO_VARIABLE, None)
        if self._folder is not None:
            self._folder.cleanup()

    def _path(self, name: str) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="kurir-tests-", ignore_cleanup_errors=True)
        return Path(self._folder.name) / name

    def _process_url(self, server: NatsServer | StoreServer) -> str:
        server.start()
        self._running.append(server)
        self.lines.append(f"{server.name}: {server.command[0]} on {server.url}")
        return server.url

    def _container_url(self, what: str) -> str | None:
        if not containers.docker_answers():
            return None
        try:
            container = containers.mongo() if what == "mongo" else containers.nats()
        except Exception as error:
            self.lines.append(
                f"{what}: a Docker engine answers but no container came up, a process instead ({error!r})"[:300]
            )
            return None
        self._running.append(container)
        self.lines.append(f"{container.name} on {container.url}")
        return container.url
