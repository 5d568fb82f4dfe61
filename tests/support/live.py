"""The real platform for tests: started as `kurir up` does, driven over REST, and any process killed at will."""

import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import nats
from kurir.background import platform
from kurir.demo.email import EmailStory
from kurir.demo.result import Result
from kurir.home import Home
from kurir.platform import Options, Platform
from kurir.tokens import issue
from rich.console import Console


class Live:
    """A running platform. `story` tells the e-mail story step by step; `rest` and `mail` are its clients."""

    def __init__(self, running: Platform) -> None:
        self.platform = running
        self.token = issue(running.keys, "admin", 1)
        self.story = self.tell(20)
        self.rest, self.mail = self.story.rest, self.story.mail

    def tell(self, recipients: int) -> EmailStory:
        """Return a new story with that many recipients."""
        story = EmailStory(self.platform.state(), self.token, recipients, Console(quiet=True))
        time.sleep(1.01)  # a story's number is the second it begins in
        return story

    def child(self, name: str):
        """Return a process by name: nats, store, accounts, campaigns, channel-email, practice-mail."""
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

    async def bus(self) -> nats.NATS:
        """Return a connection of the test's own."""
        return await nats.connect(self.platform.endpoints.nats_url)

    async def books(self, campaign: str, story: EmailStory) -> Result:
        """Return what the outbox says beside what the mail server received."""
        result = Result("email", story.recipients)
        await story.count(campaign, result)
        return result


QUICK = {"CHANNEL_EMAIL_SEND_TIMEOUT_SECONDS": "10"}
"""An heir of a killed process sends one send timeout later: 60 s for real e-mail servers."""


@contextlib.asynccontextmanager
async def live(folder: Path) -> AsyncIterator[Live]:
    """Start a platform in *folder*; stop it when the block ends."""
    for name, value in QUICK.items():
        os.environ.setdefault(name, value)
    async with platform(Home(folder), Options(practice=True, any_ports=True)) as running:
        found = Live(running)
        try:
            yield found
        finally:
            await found.rest.http.aclose()
            await found.mail.aclose()
