"""The whole platform as processes: bus, store, topology, services, and in practice mode the stand-ins."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
from contracts.channels import Channel

from kurir import infrastructure, leftovers, logfiles, natswatch, practice, services, storeuser, storewatch, topology
from kurir.environment import Endpoints, service_environment
from kurir.home import Home, Keys, Trouble
from kurir.ports import Ports
from kurir.processes import Child
from kurir.status import lacks, trouble

READY_SECONDS = 60.0


@dataclass
class Options:
    """What a person may choose at `kurir up`."""

    practice: bool = False
    any_ports: bool = False
    """Take free ports only: a platform for a test or a rehearsal beside one that is up."""
    channels: tuple[Channel, ...] = ()
    """Run these channels alone; none: those the deployment is subscribed to."""


@dataclass
class Platform:
    """Starts everything in order, keeps it running, stops it in reverse order."""

    home: Home
    keys: Keys
    options: Options
    children: list[Child] = field(default_factory=list)
    endpoints: Endpoints = field(default_factory=Endpoints)
    ports: Ports = field(default_factory=Ports)
    store_engine: str = ""
    moved_ports: dict[str, list[int]] = field(default_factory=dict)
    """Part → the usual port, which was taken, and the one it has instead."""
    lacking: dict[str, str] = field(default_factory=dict)
    """Service → what it lacked at its start and can do without, in its own words."""

    async def start(self) -> None:
        """Start everything and wait until it is ready; raises Trouble naming the part that is not."""
        logfiles.limit_bytes()  # refused before anything has started
        self.endpoints.channels = self.options.channels or services.subscribed()
        await self._start_nats()
        await self._start_store()
        await topology.apply(self.endpoints.nats_url, self.endpoints.channels)
        if self.options.practice:
            await self._start_practice()
        for name, service in services.run_for(self.endpoints.channels).items():
            self.endpoints.services[name] = self._port(name, service.port)
            await self._start_service(name, service.module)
        await asyncio.gather(*(self._ready(name) for name in self.endpoints.services))
        self.home.write_state(self.state())

    def state(self) -> dict[str, Any]:
        """Return what `kurir status` and the demo need to find the parts; no secret is in it but the addresses of bus and store."""
        return {
            "pid": os.getpid(),
            "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "practice": self.options.practice,
            "store": self.store_engine,
            "nats_url": self.endpoints.nats_url,
            "mongo_url": self.endpoints.mongo_url,
            "services": {name: f"http://127.0.0.1:{port}" for name, port in self.endpoints.services.items()},
            "practice_platforms": self.endpoints.practice,
            "moved_ports": self.moved_ports,
            "lacking": self.lacking,
            "processes": {
                c.name: {"pid": c.pid, "port": c.port, "log": str(c.log), "restarts": c.restarts} for c in self.children
            },
        }

    async def supervise(self) -> None:
        """Keep every process alive until cancelled, and the state file true."""
        watchers = [asyncio.create_task(child.watch()) for child in self.children]
        watchers.append(asyncio.create_task(logfiles.watch(self.home.logs, logfiles.limit_bytes())))
        watchers += [asyncio.create_task(work) for work in self._disk_watches()]
        last = self.state()
        try:
            while True:
                await asyncio.sleep(1)
                now = self.state() | {"started_at": last["started_at"]}
                if now != last:
                    last = now
                    self.home.write_state(now)
        finally:
            for watcher in watchers:
                watcher.cancel()

    def _disk_watches(self) -> Iterator[Coroutine[Any, Any, None]]:
        """Yield what starts bus and store anew where a full disk made them give up."""
        for child in self.children:
            if child.name == "store":
                yield storewatch.watch(child, self.endpoints.mongo_url)
            elif child.name == "nats":
                yield natswatch.watch(child, self.endpoints.nats_url)

    async def stop(self) -> None:
        """Stop services first (they finish what is out), then practice, store and bus."""
        for child in self.children:
            child.stopping = True
        ours = [c for c in self.children if c.name in services.SERVICES]
        await asyncio.gather(*(c.stop() for c in ours))
        for child in reversed([c for c in self.children if c not in ours]):
            await child.stop()
        self.ports.release()
        self.home.state_file.unlink(missing_ok=True)

    def _port(self, part: str, usual: int) -> int:
        found = self.ports.take(0 if self.options.any_ports else usual)
        if found != usual and not self.options.any_ports:
            self.moved_ports[part] = [usual, found]
        return found

    def _child(self, name: str, command: list[str], port: int, env: dict[str, str] | None = None) -> Child:
        marked = {leftovers.MARK: str(self.home.folder), **(env or {})}
        child = Child(name, command, self.home.logs / f"{name}.log", marked, port)
        self.children.append(child)
        return child

    async def _start_nats(self) -> None:
        if given := os.environ.get("NATS_URL"):
            self.endpoints.nats_url = given
            return
        port = self._port("nats", 4222)
        child = self._child("nats", infrastructure.nats_command(self.home, port, self.keys.nats_password), port)
        await child.start()
        self.endpoints.nats_url = f"nats://kurir:{self.keys.nats_password}@127.0.0.1:{port}"
        await self._listening(child)

    async def _start_store(self) -> None:
        if given := os.environ.get("MONGO_URL"):
            self.endpoints.mongo_url, self.store_engine = given, "MONGO_URL"
            return
        self.store_engine = infrastructure.pick_engine(self.home)
        port, folder, marker = self._port("store", 27017), self.home.store / "data", self.home.store / "guarded"
        open_command, command = (
            infrastructure.store_command(self.store_engine, port, folder, guarded=guarded) for guarded in (False, True)
        )
        child, password = self._child("store", command, port), self.keys.store_password
        new = not marker.exists()
        if new:  # a user can only be made while the store still asks for none
            child.command = open_command
            await child.start()
            await self._listening(child)
            await storeuser.create(port, password)
            await child.stop()
            child.command, child.stopping = command, False
        await child.start()
        await self._listening(child)
        if new:
            await storeuser.alone(port, password)
            marker.touch()
        self.endpoints.mongo_url = storeuser.url(port, password)

    async def _start_practice(self) -> None:
        folder = self.home.folder / "practice"
        folder.mkdir(exist_ok=True)
        begun = []
        for name, platform in practice.run_for(self.endpoints.channels).items():
            ports = {kind: self._port(f"practice {name} {kind}", port) for kind, port in platform.ports.items()}
            child = self._child(f"practice-{name}", [sys.executable, *platform.arguments(ports, folder)], ports["api"])
            await child.start()
            api = {"api": f"http://127.0.0.1:{ports['api']}"}
            self.endpoints.practice[name] = api | platform.place(ports, folder)
            begun.append(child)
        await asyncio.gather(*(self._listening(child) for child in begun))

    async def _start_service(self, name: str, module: str) -> None:
        env = service_environment(name, self.home, self.keys, self.endpoints, practice=self.options.practice)
        child = self._child(name, [sys.executable, "-m", module], self.endpoints.services[name], env)
        await child.start()

    async def _listening(self, child: Child) -> None:
        for _ in range(300):
            if child.pid is None:
                raise Trouble(f"{child.name} ended at once: {child.tail(3)} (log: {child.log})")
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", child.port)
                writer.close()
                return
            await asyncio.sleep(0.1)
        raise Trouble(f"{child.name} does not listen on port {child.port} (log: {child.log})")

    async def _ready(self, name: str) -> None:
        child = next(c for c in self.children if c.name == name)
        answer, mine = "no answer", self.home.instance(name)
        async with httpx.AsyncClient(timeout=2) as client:
            for _ in range(int(READY_SECONDS / 0.2)):
                if child.pid is None:
                    raise Trouble(f"{name} ended at once: {child.tail(3)} (log: {child.log})")
                with contextlib.suppress(httpx.HTTPError, ValueError):
                    report = (await client.get(f"http://127.0.0.1:{child.port}/healthz")).json()
                    answer = trouble(report, mine)
                    if not answer:
                        self.lacking |= {name: words} if (words := lacks(report)) else {}
                        return
                await asyncio.sleep(0.2)
        raise Trouble(f"{name} is not ready after {READY_SECONDS:.0f} s: {answer} (log: {child.log})")
