"""The accounts service on a real NATS and store, over HTTP, with a channel played by the test where one is needed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import uvicorn
from accounts.context import Context
from accounts.main import build
from accounts.settings import Settings
from contracts import subjects
from contracts.channels import Channel
from contracts.state import DesiredAccount, SessionState, SessionStatus, WorkerSwitch
from contracts.topology import topology
from fastapi import FastAPI
from servicekit.auth import Role, issue_token
from servicekit.bus import Bus
from servicekit.clock import utcnow
from servicekit.kv import Bucket
from servicekit.secrets import generate_key
from servicekit.topology import apply

from tests.support.processes import free_port
from tests.support.servers import NatsServer

PASSWORD = "hunter2-is-not-a-secret"
EMAIL = {
    "preset": "custom",
    "smtp": {"host": "mail.example.com", "port": 587, "security": "starttls", "from_address": "toko@example.com"},
    "imap": None,
}


async def eventually(ask: Callable[[], Awaitable[Any]], seconds: float = 30.0) -> Any:
    """Return the first truthy answer; fails after *seconds*."""
    async with asyncio.timeout(seconds):
        while True:
            if found := await ask():
                return found
            await asyncio.sleep(0.02)


@dataclass
class Service:
    """A running service: `http` is an administrator's client."""

    app: FastAPI
    settings: Settings
    http: httpx.AsyncClient
    logs: list[str] = field(default_factory=list)

    @property
    def ctx(self) -> Context:
        return self.app.state.context

    @property
    def bus(self) -> Bus:
        return self.ctx.bus

    @property
    def desired(self) -> Bucket[DesiredAccount]:
        return Bucket(self.bus, subjects.bucket("accounts", Channel.EMAIL), DesiredAccount)

    @property
    def switch(self) -> Bucket[WorkerSwitch]:
        return Bucket(self.bus, subjects.bucket("accounts", Channel.EMAIL), WorkerSwitch)

    @property
    def sessions(self) -> Bucket[SessionState]:
        return Bucket(self.bus, subjects.bucket("sessions", Channel.EMAIL), SessionState)

    def token(self, role: Role, subject: str = "tester") -> dict[str, str]:
        return {"Authorization": f"Bearer {issue_token(self.settings, subject, role)}"}

    async def create(self, **fields: Any) -> dict[str, Any]:
        body = {"name": "Toko", "channel": "email", "settings": EMAIL, "credentials": {"smtp_password": PASSWORD}}
        answer = await self.http.post("/v1/accounts", json=body | fields)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def projected(self, account_id: str, version: int) -> DesiredAccount:
        async def there() -> DesiredAccount | None:
            entry = await self.desired.get(account_id)
            return entry.value if entry and entry.value.version >= version else None

        return await eventually(there)

    async def report(self, account_id: str, status: SessionStatus = SessionStatus.READY, **fields: Any) -> None:
        """Write a session's state as its channel would."""
        now = utcnow()
        state = {"account_id": account_id, "channel": Channel.EMAIL, "status": status, "since": now, "updated_at": now}
        if status is SessionStatus.READY:
            state["last_proof_of_life"] = now
        await self.sessions.put(account_id, SessionState(**(state | fields)))


def make_settings(nats_url: str, mongo_url: str, db: str, **more: Any) -> Settings:
    """Return settings with short intervals."""
    return Settings(
        nats_url=nats_url,
        mongo_url=mongo_url,
        mongo_db=db,
        host="127.0.0.1",
        port=free_port(),
        sealing_keys=generate_key(),
        jwt_secret="practice-jwt-secret-of-more-than-32-characters",
        projection_seconds=0.2,
        deletion_seconds=0.1,
        deletion_grace_seconds=0.3,
        answer_timeout_seconds=2,
        **more,
    )


async def serve(settings: Settings) -> AsyncIterator[Service]:
    """Run the service on its port until the block ends."""
    app = build(settings)
    config = uvicorn.Config(app, host=settings.host, port=settings.port, log_config=None, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None
    task = asyncio.create_task(server.serve())
    url = f"http://{settings.host}:{settings.port}"
    service = Service(app, settings, httpx.AsyncClient(base_url=url, timeout=20, trust_env=False))
    service.http.headers.update(service.token(Role.ADMIN, "admin"))
    try:
        yield service
    finally:
        await service.http.aclose()
        for callback in app.state.stopping:
            callback()
        server.should_exit = True
        await task


async def ready(service: Service) -> Service:
    """Return the service once /readyz says so."""

    async def answers() -> bool:
        try:
            return (await service.http.get("/readyz")).status_code == 200
        except httpx.TransportError:
            return False

    await eventually(answers, 60)
    return service


async def prepare(nats_url: str, settings: Settings) -> None:
    """Apply the topology, as `kurir topology apply` does."""
    bus = Bus(settings)
    await bus.start()
    await bus.wait_connected()
    await apply(bus.js, topology(settings.enabled))
    await bus.stop()


@pytest.fixture
def settings(fresh_nats: NatsServer, mongo_url: str, fresh_db: str) -> Settings:
    return make_settings(fresh_nats.url, mongo_url, fresh_db)


@pytest.fixture
async def service(fresh_nats: NatsServer, settings: Settings) -> AsyncIterator[Service]:
    await prepare(fresh_nats.url, settings)
    async with contextlib.aclosing(serve(settings)) as services:  # where it does not become ready it must end as well
        async for running in services:
            yield await ready(running)
