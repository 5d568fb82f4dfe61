"""What the parts of the service are given: made once by `main`, passed on, never imported as a global."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import Depends, Request
from servicekit.auth import Principal, Role, require
from servicekit.bus import Bus
from servicekit.mongo import Database
from servicekit.secrets import Sealer
from servicekit.sse import EventHub

from accounts.deleting import Deletions, Parts
from accounts.imports import tidying
from accounts.imports.pieces import Pieces
from accounts.imports.store import ImportStore
from accounts.imports.usecases import Importing, Limits
from accounts.logbook import Logbook
from accounts.operators.store import OperatorStore
from accounts.ports import AccountStore
from accounts.projection import Projection
from accounts.relay import Relay
from accounts.sessions import Sessions
from accounts.settings import Settings
from accounts.store import MongoAccounts
from accounts.switch import SwitchStore
from accounts.usecases import Editing, Rules
from accounts.vault import CredentialSealer


@dataclass(frozen=True)
class Context:
    """Settings, clients, stores and loops."""

    settings: Settings
    db: Database
    bus: Bus
    hub: EventHub
    store: AccountStore
    switch: SwitchStore
    logs: Logbook
    operators: OperatorStore
    sessions: Sessions
    vault: CredentialSealer
    projection: Projection
    relay: Relay
    deletions: Deletions
    importing: Importing

    @property
    def editing(self) -> Editing:
        """Return what creating and editing take."""
        return Editing(self.store, self.vault, Rules(self.settings.enabled, self.settings.practice))

    async def close(self) -> None:
        """Close the store's connections; the bus is closed by the application."""
        self.db.close()

    async def announce(self, account_id: str) -> None:
        """After a commit: project and relay at once, and tell live pages."""
        self.projection.wake.set()
        self.relay.wake.set()
        await self.hub.publish("account", [account_id])


def build(settings: Settings, db: Database, bus: Bus) -> Context:
    """Wire the parts together; nothing is opened yet. Raises SealError without a sealing key."""
    hub, store, switch = EventHub(bus, settings.service), MongoAccounts(db), SwitchStore(db)
    logs = Logbook(db, settings.log_days)
    sessions = Sessions(bus, settings.enabled, settings.proof_seconds)
    projection = Projection(bus, store, switch, settings.enabled)
    relay = Relay(bus, store)
    sealer = Sealer.from_keys(settings.sealing_keys)
    importing = Importing(ImportStore(db), Pieces(bus, sealer), store, logs, _limits(settings))
    parts = Parts(
        store, projection, sessions, logs, partial(tidying.forget, importing), settings.deletion_grace_seconds
    )

    async def gone(account_id: str) -> None:
        relay.wake.set()
        await hub.publish("account", [account_id])

    return Context(
        settings=settings,
        db=db,
        bus=bus,
        hub=hub,
        store=store,
        switch=switch,
        logs=logs,
        operators=OperatorStore(db),
        sessions=sessions,
        vault=CredentialSealer(sealer),
        projection=projection,
        relay=relay,
        deletions=Deletions(parts, gone),
        importing=importing,
    )


def _limits(settings: Settings) -> Limits:
    return Limits(settings.import_max_bytes, settings.import_chunk_bytes, settings.imports_open, settings.import_days)


def context(request: Request) -> Context:
    """Return the service's context."""
    found: Context = request.app.state.context
    return found


def writing(request: Request) -> Context:
    """Return the context; raises Unavailable while NATS is away: what cannot reach the channels is not begun."""
    found = context(request)
    found.bus.require()
    return found


Ctx = Annotated[Context, Depends(context)]
Writing = Annotated[Context, Depends(writing)]
Viewer = Annotated[Principal, Depends(require(Role.VIEWER))]
Operator = Annotated[Principal, Depends(require(Role.OPERATOR))]
Admin = Annotated[Principal, Depends(require(Role.ADMIN))]
