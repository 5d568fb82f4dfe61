"""What every part of the service is given: made once, passed on, never imported as a global."""

import asyncio
from dataclasses import dataclass, field

from fastapi import Request
from servicekit.bus import Bus
from servicekit.mongo import Database
from servicekit.sse import EventHub
from structlog.stdlib import BoundLogger

from campaigns.accounts import Accounts
from campaigns.incarnations import Incarnations
from campaigns.settings import Settings


@dataclass(frozen=True)
class Context:
    """Settings and clients. `db` is the store, `hub` tells live pages what changed, `wake` has dispatchers look now.

    `incarnations` knows the life of the bus per channel, once verified: nothing is dispatched to a channel without.
    """

    settings: Settings
    db: Database
    bus: Bus
    hub: EventHub
    log: BoundLogger
    accounts: Accounts = field(default_factory=Accounts)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    incarnations: Incarnations = field(default_factory=Incarnations)


def context(request: Request) -> Context:
    """Return the service's context: `ctx: Annotated[Context, Depends(context)]`."""
    ctx: Context = request.app.state.context
    return ctx
