"""The accounts service: settings, clients, routes, handlers, app."""

from functools import partial

from fastapi import FastAPI
from servicekit.app import build_api
from servicekit.app import run as serve
from servicekit.bus import Bus
from servicekit.mongo import connect

from accounts import api, challenge_api, context, http, login_api, platform_api
from accounts.imports import api as imports_api
from accounts.loops import loops, prepare
from accounts.messaging import Reports
from accounts.operators import api as operators_api
from accounts.operators.guard import RevocableAuthenticator
from accounts.settings import Settings


def build(settings: Settings | None = None) -> FastAPI:
    """Return the application. Raises SealError without a sealing key."""
    settings = settings or Settings()
    bus, db = Bus(settings), connect(settings)
    ctx = context.build(settings, db, bus)
    Reports(ctx.store, ctx.logs, ctx.deletions, ctx.hub.publish).subscribe(bus)
    app = build_api(
        settings,
        bus,
        [
            operators_api.router,
            platform_api.router,
            api.router,
            login_api.router,
            challenge_api.router,
            imports_api.router,
        ],
        startup=[partial(prepare, ctx)],
        background=loops(ctx),
        shutdown=[ctx.close],
        stopping=[ctx.hub.close],
        checks={"store": db.ping},
        title="Kurir accounts",
    )
    app.state.context = ctx
    app.state.auth = RevocableAuthenticator(settings, ctx.operators)
    http.install(app)
    return app


def run() -> None:
    """Serve until SIGTERM."""
    settings = Settings.from_environment()
    serve(lambda: build(settings), settings)


if __name__ == "__main__":
    run()
