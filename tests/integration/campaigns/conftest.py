"""The contacts and inbox half of the campaigns service, on a real NATS and a real store, called over HTTP."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
from campaigns import relay
from campaigns.contacts import store as contacts
from campaigns.contacts.api import router as contacts_router
from campaigns.contacts.importing import runner
from campaigns.contacts.importing import store as imports
from campaigns.context import Context
from campaigns.inbox import store as inbox
from campaigns.inbox.api import router as inbox_router
from campaigns.media import usecases as media
from campaigns.media.api import router as media_router
from campaigns.settings import Settings
from campaigns.suppression import store as suppression
from campaigns.suppression.api import public_router
from campaigns.suppression.api import router as suppression_router
from contracts.channels import Channel
from contracts.topology import topology
from servicekit import logs, mongo
from servicekit import topology as bus_topology
from servicekit.app import build_api
from servicekit.auth import Role, issue_token
from servicekit.bus import Bus
from servicekit.sse import EventHub

from tests.support.servers import NatsServer

JWT_SECRET = "practice-jwt-secret-of-more-than-32-characters"


@dataclass
class People:
    """The service's half that people talk to: its context, and clients of three roles."""

    ctx: Context
    nats: NatsServer
    http: httpx.AsyncClient
    viewer: httpx.AsyncClient
    nobody: httpx.AsyncClient

    async def imported(self, csv: str | bytes, **options: str) -> dict:
        """Import a CSV to its end and return the import."""
        data = csv.encode() if isinstance(csv, str) else csv
        begun = await self.http.post("/v1/contacts/imports", content=data, params=options)
        assert begun.status_code == 202, begun.text
        while await runner.run_one(self.ctx, "test"):
            pass
        return (await self.http.get(f"/v1/contacts/imports/{begun.json()['id']}")).json()


def people_settings(nats_url: str, mongo_url: str, database: str) -> Settings:
    """Return settings with good keys."""
    return Settings(
        nats_url=nats_url, mongo_url=mongo_url, mongo_db=database, address_hmac_keys="practice-address-key",
        jwt_secret=JWT_SECRET, public_url="https://kurir.example", practice=True, channels="email,whatsapp,telegram",
    )  # fmt: skip


@pytest.fixture
async def people(fresh_nats: NatsServer, mongo_url: str, fresh_db: str) -> AsyncIterator[People]:
    """Run the service's half for one test."""
    settings = people_settings(fresh_nats.url, mongo_url, fresh_db)
    bus, db = Bus(settings), mongo.connect(settings)
    ctx = Context(settings, db, bus, EventHub(bus, settings.service), logs.get_logger("test"))

    async def prepare() -> None:
        await bus.wait_connected()
        await bus_topology.apply(bus.js, topology([Channel.EMAIL, Channel.WHATSAPP, Channel.TELEGRAM]))
        for part in (contacts, imports, suppression, media, inbox, relay):
            await part.prepare(ctx)

    routers = [contacts_router, suppression_router, public_router, media_router, inbox_router]
    app = build_api(settings, bus, routers)
    app.state.context = ctx
    async with app.router.lifespan_context(app):
        await prepare()
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        clients = [
            httpx.AsyncClient(transport=transport, base_url="http://t", headers=_as(r, settings)) for r in _ROLES
        ]
        yield People(ctx, fresh_nats, *clients)
    db.close()


_ROLES = (Role.OPERATOR, Role.VIEWER, None)


def _as(role: Role | None, settings: Settings) -> dict[str, str]:
    return {"Authorization": f"Bearer {issue_token(settings, f'{role}-1', role)}"} if role else {}
