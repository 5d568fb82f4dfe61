"""The practice Telegram: MTProto at two DCs and an API over one memory, in one process."""

import asyncio
import os
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from practice.platform import ApiPorts, Platform
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
class Ports(ApiPorts):
    """Where a running practice Telegram listens; `key_file` holds the public key that clients must trust."""

    port: int
    other_port: int
    key_file: str


class TelegramPlatform(Platform[Ports]):
    """`async with TelegramPlatform(TelegramSettings()) as platform:` listens until the block ends."""

    def __init__(self, settings: TelegramSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or TelegramSettings()
        self.connections: set[Connection] = set()
        self.uploads: dict[int, dict[int, bytes]] = {}
        self.dcs: dict[int, int] = {}
        #: How often each method was called, whatever came of it.
        self.calls: Counter[str] = Counter()
        self.salt = random.getrandbits(62)

    async def _start(self) -> Ports:
        settings = self.settings
        key_file = settings.key_file or str(
            Path(self._stack.enter_context(TemporaryDirectory(prefix="practice-telegram-"))) / "key.pem"
        )
        self.server_key = ServerKey.at(key_file)
        self._remember()
        for dc, port in ((MAIN_DC, settings.port), (OTHER_DC, settings.other_port)):
            self.dcs[dc] = await self._listen(dc, port)
        listening = self._bind(HOST, settings.api_port)
        self._serve(build_api(self), listening)
        return Ports(HOST, listening.getsockname()[1], self.dcs[MAIN_DC], self.dcs[OTHER_DC], key_file)

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
