"""What every practice platform is: ports that listen while a block runs, and an API over HTTP."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Generic, Self, TypeVar

import uvicorn
from fastapi import FastAPI


@dataclass(frozen=True, slots=True)
class ApiPorts:
    """Where a running platform listens; each platform adds its own ports."""

    host: str
    api: int

    @property
    def api_url(self) -> str:
        """The base URL of the API."""
        return f"http://{self.host}:{self.api}"

    def as_dict(self) -> dict[str, str | int]:
        """Return the ports as the JSON line that the command prints."""
        return {**asdict(self), "api_url": self.api_url}


P = TypeVar("P", bound=ApiPorts)


class Platform(Generic[P]):
    """`async with …Platform(settings) as platform:` listens until the block ends."""

    ports: P

    def __init__(self) -> None:
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> P:
        """Listen on all ports and return them. Raises OSError when a port is taken."""
        try:
            self.ports = await self._start()
        except BaseException:
            await self.stop()
            raise
        return self.ports

    async def stop(self) -> None:
        """Close every port and connection."""
        await self._stack.aclose()

    async def _start(self) -> P:
        """Listen; what must be closed goes to `_stack`."""
        raise NotImplementedError

    def _bind(self, host: str, port: int) -> socket.socket:
        return self._stack.enter_context(socket.create_server((host, port), backlog=512))

    def _serve(self, app: FastAPI, listening: socket.socket, **options: Any) -> None:
        server = _EmbeddedServer(uvicorn.Config(app, log_level="warning", lifespan="off", **options))
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
