"""For tests: Telethon clients of a practice Telegram."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from telethon import TelegramClient
from telethon.crypto import AuthKey, rsa
from telethon.sessions import MemorySession

from practice.telegram.client import TelegramPractice
from practice.telegram.platform import Ports

OPTIONS: dict[str, Any] = {
    "connection_retries": 3,
    "retry_delay": 0.05,
    "request_retries": 0,
    "flood_sleep_threshold": 0,
    "raise_last_call_error": True,
}


@asynccontextmanager
async def connected(ports: Ports, session: Any = None, **options: Any) -> AsyncIterator[Any]:
    """Connect a TelegramClient that trusts this server; a session made before keeps its login."""
    _trust(ports)
    if session is None:
        session = MemorySession()
        session.set_dc(2, ports.host, ports.port)
    client = TelegramClient(session, 1, "practice", **{**OPTIONS, **options})
    await client.connect()
    try:
        yield client
    finally:
        await client.disconnect()


@asynccontextmanager
async def signed_in(ports: Ports, telegram: TelegramPractice, phone: str, **options: Any) -> AsyncIterator[Any]:
    """Connect as a person, with a login made without handshake and code."""
    made = await telegram.make_login(phone)
    session = MemorySession()
    session.set_dc(made["dc"], made["host"], made["port"])
    session.auth_key = AuthKey(bytes.fromhex(made["auth_key"]))
    async with connected(ports, session, **options) as client:
        await client.get_me()
        yield client


def _trust(ports: Ports) -> None:
    rsa.add_key(Path(ports.key_file).read_text(encoding="ascii"), old=False)
    # Telethon keeps the configuration of the first server it met for the whole process
    TelegramClient._config = None  # noqa: SLF001
