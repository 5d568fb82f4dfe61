"""The real platform for tests: started as `kurir up` does, driven over REST, and any process killed at will."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import nats
from contracts.channels import Channel
from kurir.background import platform
from kurir.demo import STORIES
from kurir.demo.rest import wait_for
from kurir.demo.result import Result
from kurir.demo.story import Story
from kurir.home import Home
from kurir.platform import Options, Platform
from kurir.processes import Child
from kurir.services import DEFAULT_CHANNELS, SERVICES
from kurir.tokens import issue
from rich.console import Console

from tests.support.outside import outside
from tests.support.processes import free_port
from tests.support.proxy import Proxy


class Live:
    """A running platform. `story` tells a channel's story step by step; `rest` and (of e-mail) `mail` are its clients."""

    def __init__(self, running: Platform, channel: Channel = Channel.EMAIL) -> None:
        self.platform, self.channel = running, channel
        self.token = issue(running.keys, "admin", 1)
        self.story = self.tell(20)
        self.rest, self.outside = self.story.rest, outside(self.story)
        self.mail: Any = getattr(self.story, "mail", None)

    def tell(self, recipients: int) -> Any:
        """Return a new story of the channel with that many recipients."""
        story = STORIES[self.channel](self.platform.state(), self.token, recipients, Console(quiet=True))
        time.sleep(1.01)  # a story's number is the second it begins in
        return story

    def child(self, name: str):
        """Return a process by name: nats, store, accounts, campaigns, channel-email, practice-mail and the like."""
        return next(c for c in self.platform.children if c.name == name)

    async def kill(self, name: str) -> None:
        """SIGKILL a process, and wait until it is gone."""
        child = self.child(name)
        os.killpg(child.process.pid, signal.SIGKILL)
        await child.process.wait()

    async def terminate(self, name: str) -> float:
        """SIGTERM a process; return how many seconds it took to end."""
        child, started = self.child(name), time.monotonic()
        child.process.send_signal(signal.SIGTERM)
        await child.process.wait()
        return time.monotonic() - started

    def freeze(self, name: str) -> None:
        """SIGSTOP a process."""
        os.killpg(self.child(name).process.pid, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let a frozen process go on."""
        os.killpg(self.child(name).process.pid, signal.SIGCONT)

    async def start(self, name: str) -> None:
        """Start a killed process again, on the same port and data."""
        await self.child(name).start()
        await self.platform._listening(self.child(name))

    async def restart(self, name: str) -> float:
        """SIGTERM a process and start it again; return the seconds its end took. A service is ready again then."""
        took = await self.terminate(name)
        await self.start(name)
        if self.is_service(name):
            await self.ready(name)
        return took

    async def replica(self, name: str, number: int = 2) -> str:
        """Start another process of a service, with the same settings on a port of its own; return its name."""
        first, port, prefix = self.child(name), free_port(), name.upper().replace("-", "_")
        mine = {f"{prefix}_PORT": str(port), "KURIR_INSTANCE_ID": f"{name}-{number}"}
        log = first.log.with_name(f"{name}-{number}.log")
        child = Child(f"{name}-{number}", first.command, log, {**first.env, **mine}, port)
        self.platform.children.append(child)
        await child.start()
        await self.ready(child.name)
        return child.name

    async def change(self, name: str, **settings: str) -> None:
        """Restart a service with further settings."""
        child = self.child(name)
        child.env = {**child.env, **settings}
        await self.restart(name)

    async def through(self, name: str, **proxies: Proxy) -> None:
        """Restart a service with `NATS_URL` or `MONGO_URL` leading through a proxy: `through("campaigns", mongo=…)`."""
        urls = {f"{kind.upper()}_URL": at_port(self.url(kind), proxy.port) for kind, proxy in proxies.items()}
        await self.change(name, **urls)

    def url(self, kind: str) -> str:
        """Return the true URL of `nats` or `mongo`."""
        return {"nats": self.platform.endpoints.nats_url, "mongo": self.platform.endpoints.mongo_url}[kind]

    def is_service(self, name: str) -> bool:
        """Return whether it is one of ours with a health page, a further replica included."""
        return any(name == service or name.startswith(f"{service}-") for service in SERVICES)

    async def health(self, name: str) -> tuple[int, str]:
        """Return status and text of a service's /readyz; (0, …) where it does not answer."""
        try:
            found = await self.rest.http.get(f"http://127.0.0.1:{self.child(name).port}/readyz", timeout=5)
        except httpx.HTTPError as error:
            return 0, repr(error)
        return found.status_code, found.text

    async def ready(self, *names: str, seconds: float = 60) -> None:
        """Wait until the services named (none: every one) are ready."""
        services = names or [c.name for c in self.platform.children if self.is_service(c.name) and c.pid]

        async def is_ready(name: str) -> bool:
            return (await self.health(name))[0] == 200

        waiting = (wait_for(f"{name} to be ready", lambda n=name: is_ready(n), seconds) for name in services)
        await asyncio.gather(*waiting)

    async def received(self) -> int:
        """Return how many messages the practice platform has received."""
        return await self.story.total()

    async def until_received(self, count: int, seconds: float = 60) -> None:
        """Wait until the practice platform has received so many messages."""

        async def enough() -> bool:
            return await self.received() >= count

        await wait_for(f"{count} messages at the practice platform", enough, seconds, every=0.1)

    async def account(self, account_id: str) -> dict[str, Any]:
        """Return an account as the accounts service tells it."""
        return await self.rest.call("GET", "accounts", f"/v1/accounts/{account_id}")

    async def bus(self) -> nats.NATS:
        """Return a connection of the test's own."""
        return await nats.connect(self.platform.endpoints.nats_url)

    async def books(self, campaign: str, story: Story) -> Result:
        """Return what the outbox says beside what the practice platform received."""
        result = Result(story.channel, story.recipients)
        await story.count(campaign, result)
        return result


def at_port(url: str, port: int) -> str:
    """Return the URL of one server with another port."""
    head, _, tail = url.rpartition(":")
    rest = tail.lstrip("0123456789")
    return f"{head}:{port}{rest}"


QUICK = {f"CHANNEL_{channel.name}_SEND_TIMEOUT_SECONDS": "10" for channel in DEFAULT_CHANNELS}
"""An heir of a killed process sends one send timeout later: 60 s for real e-mail servers."""


@contextlib.asynccontextmanager
async def live(folder: Path, *channels: Channel) -> AsyncIterator[Live]:
    """Start a platform of these channels (none: e-mail) in *folder*, stories being told of the first; stop it at the end."""
    for name, value in QUICK.items():
        os.environ.setdefault(name, value)
    channels = channels or (Channel.EMAIL,)
    options = Options(practice=True, any_ports=True, channels=channels)
    async with platform(Home(folder), options) as running:
        found = Live(running, channels[0])
        try:
            yield found
        finally:
            await found.rest.http.aclose()
            await found.story.aclose()
