"""The practice Telegram: MTProto at two DCs and an API over one memory, in one process."""

import asyncio
import contextlib
import os
import random
import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import uvicorn

from practice.telegram.acts import Acts
from practice.telegram.api import build_api
from practice.telegram.codes import Logins
from practice.telegram.connection import Connection
from practice.telegram.journal import Journal
from practice.telegram.people import MAIN_DC, OTHER_DC
from practice.telegram.secrets import ServerKey
from practice.telegram.settings import TelegramSettings
from practice.telegram.world import World

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a running practice Telegram listens; `key_file` holds the public key that clients must trust."""

    host: str
    port: int
    other_port: int
    api: int
    key_file: str

    @property
    def api_url(self) -> str:
        """The base URL of the API."""
        return f"http://{self.host}:{self.api}"

    def as_dict(self) -> dict[str, str | int]:
        """Return the ports as the JSON line that the command prints."""
        return {**asdict(self), "api_url": self.api_url}


class TelegramPlatform:
    """`async with TelegramPlatform(TelegramSettings()) as platform:` listens until the block ends."""

    def __init__(self, settings: TelegramSettings | None = None) -> None:
        self.settings = settings or TelegramSettings()
        self.connections: set[Connection] = set()
        self.uploads: dict[int, dict[int, bytes]] = {}
        self.dcs: dict[int, int] = {}
        #: How often each method was called, whatever came of it.
        self.calls: Counter[str] = Counter()
        self.salt = random.getrandbits(62)
        self._stack = contextlib.AsyncExitStack()
        self.ports: Ports

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> Ports:
        """Listen on all ports and return them. Raises OSError when a port is taken."""
        try:
            return await self._start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close every port and connection."""
        await self._stack.aclose()

    async def _start(self) -> Ports:
        settings = self.settings
        key_file = settings.key_file or str(
            Path(self._stack.enter_context(TemporaryDirectory(prefix="practice-telegram-"))) / "key.pem"
        )
        self.server_key = ServerKey.at(key_file)
        self._remember()
        for dc, port in ((MAIN_DC, settings.port), (OTHER_DC, settings.other_port)):
            self.dcs[dc] = await self._listen(dc, port)
        api = await self._listen_api(settings.api_port)
        self.ports = Ports(HOST, self.dcs[MAIN_DC], self.dcs[OTHER_DC], api, key_file)
        return self.ports

    def _remember(self) -> None:
        """Make the world, as the state file has it."""
        settings = self.settings
        journal = Journal(settings.state_file)
        self._stack.callback(journal.close)
        self.world = World(journal)
        journal.replay(self.world)
        if not self.world.secret:
            self.world.set_secret(os.urandom(16))
        self.world.logins = Logins(
            settings.resend_seconds, settings.code_lifetime_seconds, settings.api_id, settings.api_hash
        )
        self.acts = Acts(self.world, settings.reply_delay_seconds)

    async def _listen(self, dc: int, port: int) -> int:
        server = await asyncio.get_running_loop().create_server(lambda: Connection(self, dc), HOST, port)
        self._stack.callback(self.drop_connections)
        self._stack.callback(server.close)
        return int(server.sockets[0].getsockname()[1])

    def drop_connections(self, phone: str | None = None) -> int:
        """Cut all connections of clients, or those of one number; return how many there were."""
        cut = [one for one in self.connections if phone is None or one.belongs_to(phone)]
        for connection in cut:
            connection.transport.abort()
        return len(cut)

    async def _listen_api(self, port: int) -> int:
        listening = socket.create_server((HOST, port))
        server = _EmbeddedServer(uvicorn.Config(build_api(self), log_level="warning", lifespan="off"))
        task = asyncio.create_task(server.serve(sockets=[listening]))

        async def close() -> None:
            server.should_exit = server.force_exit = True
            await task

        self._stack.push_async_callback(close)
        return int(listening.getsockname()[1])


class _EmbeddedServer(uvicorn.Server):
    """uvicorn without its signal handlers: the process that embeds it has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield
