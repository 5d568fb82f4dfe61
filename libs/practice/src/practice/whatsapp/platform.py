"""The practice WhatsApp: the page, the chat server and its API, in one process."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Self

import uvicorn
from fastapi import FastAPI

from practice.whatsapp.api import build_api
from practice.whatsapp.page_api import build_page_api
from practice.whatsapp.server import ChatServer
from practice.whatsapp.settings import WhatsAppSettings


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a running practice WhatsApp listens."""

    host: str
    page: int
    api: int

    @property
    def page_url(self) -> str:
        """What a browser opens."""
        return f"http://{self.host}:{self.page}/"

    @property
    def api_url(self) -> str:
        """The base URL of the API."""
        return f"http://{self.host}:{self.api}"

    def as_dict(self) -> dict[str, str | int]:
        """Return the ports as the JSON line that the command prints."""
        return {**asdict(self), "page_url": self.page_url, "api_url": self.api_url}


class WhatsAppPlatform:
    """`async with WhatsAppPlatform(WhatsAppSettings()) as platform:` listens until the block ends."""

    def __init__(self, settings: WhatsAppSettings | None = None) -> None:
        self.settings = settings or WhatsAppSettings()
        self.server = ChatServer(self.settings)
        self._stack = contextlib.AsyncExitStack()
        self.ports: Ports

    async def __aenter__(self) -> Self:
        try:
            self._stack.push_async_callback(self.server.acting.stop)
            page, api = (self._socket(port) for port in (self.settings.port, self.settings.api_port))
            self.ports = Ports(self.settings.host, page.getsockname()[1], api.getsockname()[1])
            self._serve(build_page_api(self.server), page)
            self._serve(build_api(self.server, self.ports.as_dict()), api)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def _socket(self, port: int) -> socket.socket:
        return self._stack.enter_context(socket.create_server((self.settings.host, port), backlog=512))

    def _serve(self, app: FastAPI, listening: socket.socket) -> None:
        config = uvicorn.Config(app, log_level="warning", lifespan="off", access_log=False)
        server = _EmbeddedServer(config)
        task = asyncio.create_task(server.serve(sockets=[listening]))

        async def close() -> None:
            server.should_exit = server.force_exit = True
            await task

        self._stack.push_async_callback(close)


class _EmbeddedServer(uvicorn.Server):
    """uvicorn without its signal handlers: the process that embeds it has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield
