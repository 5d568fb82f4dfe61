"""What every part of the service is given: made once, passed on, never imported as a global."""

from dataclasses import dataclass

from fastapi import Request
from servicekit.bus import Bus
from servicekit.mongo import Database
from servicekit.sse import EventHub
from structlog.stdlib import BoundLogger

from campaigns.settings import Settings


@dataclass(frozen=True)
class Context:
    """Settings and clients. `db` is a Motor database, `hub` tells live pages what changed."""

    settings: Settings
    db: Database
    bus: Bus
    hub: EventHub
    log: BoundLogger


def context(request: Request) -> Context:
    """Return the service's context: `ctx: Annotated[Context, Depends(context)]`."""
    ctx: Context = request.app.state.context
    return ctx
