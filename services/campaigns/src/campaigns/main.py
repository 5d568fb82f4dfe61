"""The campaigns service: settings, clients, routes, handlers, app."""

from functools import partial

from fastapi import FastAPI
from servicekit.app import build_api
from servicekit.app import run as serve
from servicekit.bus import Bus
from servicekit.logs import get_logger
from servicekit.mongo import connect
from servicekit.sse import EventHub

from campaigns.accounts import Accounts
from campaigns.campaign import api as campaigns
from campaigns.contacts import api as contacts
from campaigns.context import Context
from campaigns.dispatch import gone
from campaigns.inbox import api as inbox
from campaigns.incarnations import Incarnations
from campaigns.loops import loops, prepare
from campaigns.media import api as media
from campaigns.outbox import api as outbox
from campaigns.outbox import messaging
from campaigns.settings import Settings
from campaigns.suppression import api as suppression

ROUTERS = [
    campaigns.router, outbox.router, outbox.events, contacts.router, suppression.router, suppression.public_router,
    media.router, inbox.router,
]  # fmt: skip


def build_context(settings: Settings) -> Context:
    """Return the clients of the service; nothing is opened yet."""
    bus = Bus(settings)
    accounts = Accounts(bus, settings.enabled)
    return Context(
        settings, connect(settings), bus, EventHub(bus, settings.service), get_logger("campaigns"), accounts,
        incarnations=Incarnations(bus),
    )  # fmt: skip


def build(settings: Settings | None = None) -> FastAPI:
    """Return the application."""
    ctx = build_context(settings or Settings())
    messaging.subscribe(ctx)
    gone.subscribe(ctx)
    app = build_api(
        ctx.settings,
        ctx.bus,
        ROUTERS,
        startup=[partial(prepare, ctx)],
        background=loops(ctx),
        stopping=[ctx.hub.close],
        checks={"store": ctx.db.ping},
        title="Kurir campaigns",
    )
    app.state.context = ctx
    return app


def run() -> None:
    """Serve until SIGTERM."""
    settings = Settings.from_environment()
    serve(lambda: build(settings), settings)


if __name__ == "__main__":
    run()
