"""One connection of an account to Telegram.

Of Telethon 1.45 it uses what it is good at (the key exchange, the encryption, the schema, moving files between data
centres) and switches off whatever would act on its own: retries, sleeping out flood waits (a short one between two pieces
of a file we sit out ourselves), reconnecting, and its loop of updates, which moves on before anybody has kept what it read.
For that it touches a few private names (`_call`,
`_update_loop`, `_updates_queue`, `_message_box`, `_sender`, `_config`); Telethon is pinned, and the tests against the
practice server notice when one of them changes.
"""

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from typing import Any, Self

from telethon import TelegramClient, _updates, crypto, errors, sessions, utils
from telethon import functions as _functions
from telethon.crypto import rsa as _rsa

from channel_telegram.client.errors import ConnectionLost, TelegramError, translated
from channel_telegram.client.updates import read_updates
from channel_telegram.model import Batch, Place

_Client: Any = TelegramClient
_Session: Any = sessions.memory.MemorySession
_AuthKey: Any = crypto.authkey.AuthKey
_SessionState: Any = _updates.session.SessionState
_rpc: Any = _functions
_silent = logging.getLogger("channel_telegram.telethon")
_silent.setLevel(logging.CRITICAL + 1)  # its lines may quote messages, and with them login codes
PRODUCTION = Place(2, "149.154.167.51", 443)
"""Where a client begins that knows nothing yet (https://my.telegram.org/apps)."""
_CLOSE_SECONDS = 5.0
_KEY_RETRIES = 2
"""One agreed key in 256 begins with a zero byte, which the library refuses: the next one is another."""
_LONGEST_WAIT_SECONDS = 60.0
"""For the next piece of a file, in the middle of a transfer; a longer flood wait is the account's."""
_PIECES = (_rpc.upload.GetFileRequest, _rpc.upload.SaveFilePartRequest, _rpc.upload.SaveBigFilePartRequest)
_flood: Any = errors.FloodError


@dataclass(frozen=True, slots=True)
class Api:
    """The application that signs in, as registered at my.telegram.org."""

    id: int
    hash: str = field(repr=False)
    device: str = "Kurir"
    version: str = "0.1"


def trust(pem: str) -> None:
    """Accept one more server key (a PEM of an RSA public key), for the whole process."""
    add: Any = _rsa.add_key
    add(pem, old=False)


class _Forgetful(_Session):  # type: ignore[misc]  # the library has no types
    """Keeps the place and the key; not the people of every answer."""

    def process_entities(self, tlo: Any) -> None:
        """Nothing is kept."""


class _Bare(_Client):  # type: ignore[misc]
    """The library's client without a will of its own."""

    async def _call(self, sender: Any, request: Any, ordered: bool = False, flood_sleep_threshold: Any = None) -> Any:  # noqa: ARG002
        await request.resolve(self, utils)
        while True:
            try:
                return await sender.send(request)
            except _flood as error:
                seconds = getattr(error, "seconds", 0)
                if not isinstance(request, _PIECES) or not 0 < seconds <= _LONGEST_WAIT_SECONDS:
                    raise
                await asyncio.sleep(seconds)

    async def _update_loop(self) -> None:
        """`Connection.next` reads the queue instead."""


class Connection:
    """Open until `close`, or until the platform or the network ends it; nothing reconnects."""

    def __init__(self, client: Any, *, timeout_seconds: float) -> None:
        """Use `open`."""
        self._client, self._timeout = client, timeout_seconds
        self._waiting: set[asyncio.Future[Any]] = set()
        self._over = asyncio.Event()

    @classmethod
    async def open(
        cls, api: Api, place: Place, key: bytes | None, *, connect_seconds: float, timeout_seconds: float
    ) -> Self:
        """Connect; without a key, agree on one. Raises ConnectionLost, TelegramError."""
        session = _Forgetful()
        session.set_dc(place.dc, place.host, place.port)
        session.auth_key = _AuthKey(key) if key else None
        _Bare._config = None  # noqa: SLF001  # process-wide in the library; addresses may have changed
        client = _Bare(
            session, api.id, api.hash, device_model=api.device, system_version="1", app_version=api.version,
            timeout=connect_seconds, connection_retries=0 if key else _KEY_RETRIES, retry_delay=0,
            auto_reconnect=False, request_retries=0,
            flood_sleep_threshold=0, raise_last_call_error=True, base_logger=_silent, entity_cache_limit=100,
        )  # fmt: skip
        # A state of its own keeps the library from asking who we are and for updates: we do both.
        client._message_box.load(_SessionState(0, 0, False, 1, 0, 0, 0, None), [])  # noqa: SLF001, FBT003
        self = cls(client, timeout_seconds=timeout_seconds)
        try:
            await self._guarded(client.connect(), connect_seconds)
        except BaseException as error:
            await self.close()
            if isinstance(error, ConnectionLost):
                raise ConnectionLost(f"cannot connect to {place.host}:{place.port}") from error
            raise
        client.disconnected.add_done_callback(self._ended)
        return self

    @property
    def closed(self) -> bool:
        """Return whether it has ended."""
        return self._over.is_set()

    async def wait_closed(self) -> None:
        """Return once it has ended."""
        await self._over.wait()

    @property
    def key(self) -> bytes:
        """Return the key this connection is encrypted with: who has it is the account."""
        return bytes(self._client.session.auth_key.key)

    @property
    def place(self) -> Place:
        """Return where it is connected to."""
        session = self._client.session
        return Place(session.dc_id, session.server_address, session.port)

    @property
    def api(self) -> tuple[int, str]:
        """Return the application's id and hash."""
        return self._client.api_id, self._client.api_hash

    async def call(self, request: Any, *, timeout_seconds: float | None = None) -> Any:
        """Send a request and return its answer. Raises TelegramError, ConnectionLost.

        No answer in time ends the connection: a request may hang while the socket looks well (seen).
        """
        if self.closed:
            raise ConnectionLost("not connected")
        try:
            return await self._guarded(self._client(request), timeout_seconds or self._timeout)
        except ConnectionLost as error:
            if isinstance(error.__cause__, TimeoutError):
                self.drop()
            raise

    async def download(self, reference: Any, limit_bytes: int, timeout_seconds: float) -> bytes | None:
        """Fetch a file of a message; None where it is larger than the limit. Raises TelegramError, ConnectionLost."""
        return await self._guarded(self._fetch(reference, limit_bytes), timeout_seconds)  # type: ignore[no-any-return]

    async def upload(self, data: bytes, filename: str, timeout_seconds: float) -> Any:
        """Store a file on the platform; nobody sees it yet. Raises TelegramError, ConnectionLost."""
        return await self._guarded(self._client.upload_file(data, file_name=filename), timeout_seconds)

    async def place_of(self, dc: int) -> Place:
        """Return the address of another data centre. Raises TelegramError, ConnectionLost."""
        config = await self.call(_rpc.help.GetConfigRequest())
        options = [one for one in config.dc_options if one.id == dc and not one.ipv6 and not one.cdn]
        plain = [one for one in options if not one.media_only and not one.tcpo_only] or options
        if not plain:
            raise TelegramError("DC_ID_INVALID", 400, dc)
        return Place(dc, plain[0].ip_address, plain[0].port)

    async def next(self) -> Batch | None:
        """Return what the platform pushed next; None once the connection has ended."""
        queue = self._client._updates_queue  # noqa: SLF001
        if self.closed and queue.empty():
            return None
        pushed = await queue.get()
        return None if pushed is None else read_updates(pushed)

    @property
    def pending(self) -> bool:
        """Return whether more was pushed already."""
        return not self._client._updates_queue.empty()  # noqa: SLF001

    def drop(self) -> None:
        """End the connection at once, without waiting for it."""
        self._mark_ended()
        task = asyncio.get_running_loop().create_task(self.close())
        _closing.add(task)
        task.add_done_callback(_closing.discard)

    async def close(self) -> None:
        """End the connection and give its memory back."""
        self._mark_ended()
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._client.disconnect()

    async def _fetch(self, reference: Any, limit_bytes: int) -> bytes | None:
        data = bytearray()
        async for chunk in self._client.iter_download(reference):
            data += chunk
            if len(data) > limit_bytes:
                return None
        return bytes(data)

    async def _guarded(self, work: Any, seconds: float) -> Any:
        """Wait at most so long, and translate what goes wrong."""
        try:
            async with asyncio.timeout(seconds):
                return await self._interruptible(work)
        except TimeoutError as error:
            raise ConnectionLost(f"no answer within {seconds:g} s") from error
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise ConnectionLost("the connection ended") from None  # the library cancels what it cannot answer
        except Exception as error:
            ours = translated(error)
            if ours is error:
                raise
            raise ours from (None if _quotes(error) else error)

    async def _interruptible(self, work: Any) -> Any:
        """Await *work*; what still waits when the connection ends is told so, which the library forgets at times."""
        running = asyncio.ensure_future(work)
        self._waiting.add(running)
        try:
            return await running
        finally:
            self._waiting.discard(running)
            running.cancel()

    def _ended(self, disconnected: "asyncio.Future[None]") -> None:
        if not disconnected.cancelled():
            disconnected.exception()  # heard
        self._mark_ended()

    def _mark_ended(self) -> None:
        if self.closed:
            return
        self._over.set()
        self._client._updates_queue.put_nowait(None)  # noqa: SLF001
        for waiting in list(self._waiting):
            waiting.cancel()


def _quotes(error: Exception) -> bool:
    """Return whether a traceback that shows the error would show what came in."""
    return isinstance(error, BufferError | errors.TypeNotFoundError)


_closing: set[asyncio.Task[None]] = set()
