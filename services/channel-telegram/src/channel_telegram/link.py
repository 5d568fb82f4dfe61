"""An account's way to Telegram: the present connection, and how the next one is opened."""

import asyncio
from dataclasses import replace

from channel_telegram.client.connection import PRODUCTION, Api, Connection
from channel_telegram.client.errors import ConnectionLost
from channel_telegram.model import Place
from channel_telegram.settings import Settings
from channel_telegram.vaultform import VaultForm


class Gateway:
    """What all accounts of a process share: the application, the server's address, and how many connect at once."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.api = Api(settings.api_id, settings.api_hash.get_secret_value(), settings.device_name)
        self._connecting = asyncio.Semaphore(settings.connects_at_once)

    async def connect(self, place: Place | None, key: bytes | None) -> Connection:
        """Open a connection; without a place, where every login begins. Raises ConnectionLost, TelegramError."""
        settings = self.settings
        async with self._connecting:
            return await Connection.open(
                self.api,
                self._address(place),
                key,
                connect_seconds=settings.connect_timeout_seconds,
                timeout_seconds=settings.request_timeout_seconds,
            )

    def _address(self, place: Place | None) -> Place:
        """A configured address stands for the centre where clients begin, also in logins that know another one."""
        place = place or PRODUCTION
        if not self.settings.dc or place.dc != PRODUCTION.dc:
            return place
        host, _, port = self.settings.dc.rpartition(":")
        return replace(place, host=host, port=int(port))


class Link:
    """One account's present connection."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._connection: Connection | None = None
        self._up = asyncio.Event()
        self._lock = asyncio.Lock()

    async def get(self, form: VaultForm) -> Connection:
        """Return the present connection, or a new one with the login's key. Raises ConnectionLost, TelegramError."""
        async with self._lock:
            if self._connection is not None and not self._connection.closed:
                return self._connection
            return await self._open(form.place, form.auth_key)

    async def move(self, place: Place) -> Connection:
        """Connect elsewhere, with a key of its own. Raises ConnectionLost, TelegramError."""
        async with self._lock:
            return await self._open(place, None)

    @property
    def current(self) -> Connection:
        """Return the present connection. Raises ConnectionLost."""
        if self._connection is None or self._connection.closed:
            raise ConnectionLost("not connected")
        return self._connection

    async def wait(self, seconds: float) -> Connection:
        """Return the connection, waiting for the first one. Raises ConnectionLost."""
        try:
            async with asyncio.timeout(seconds):
                await self._up.wait()
        except TimeoutError as error:
            raise ConnectionLost("not connected") from error
        return self.current

    async def close(self) -> None:
        """End the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _open(self, place: Place | None, key: bytes | None) -> Connection:
        await self.close()
        self._connection = await self._gateway.connect(place, key)
        self._up.set()
        return self._connection
