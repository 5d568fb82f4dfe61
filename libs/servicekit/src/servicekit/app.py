"""A service as a FastAPI application, and the process that runs it until SIGTERM."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from types import FrameType
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI

from servicekit import apidocs, failpoints, health, logs, metrics, problems
from servicekit.auth import Authenticator
from servicekit.background import Supervisor, Work
from servicekit.bus import Bus
from servicekit.settings import ServiceSettings

Hook = Callable[[], Awaitable[Any]]

_log = logs.get_logger("servicekit.app")


def build_api(
    settings: ServiceSettings,
    bus: Bus | None = None,
    routers: Sequence[APIRouter] = (),
    *,
    startup: Sequence[Hook] = (),
    shutdown: Sequence[Hook] = (),
    background: Sequence[Work] = (),
    stopping: Sequence[Callable[[], None]] = (),
    checks: Mapping[str, health.Check] | None = None,
    sessions: health.Sessions | None = None,
    title: str = "",
    max_body_bytes: int = problems.DEFAULT_BODY_BYTES,
) -> FastAPI:
    """Return the application; without routers it is the health-only one of a channel service.

    Order of life: bus (in the background, for ever trying), startup, background tasks; on SIGTERM `stopping` (plain
    functions, at once), then background tasks end, shutdown, bus. A startup that raises Unavailable is tried again in
    the background until it succeeds, so that health answers while a dependency is away. Routes take a larger body with
    `max_body_size=` of FastAPI. `checks` are dependencies for /readyz; the bus is one already.
    """
    logs.configure(settings)
    failpoints.arm(settings.failpoints, practice=settings.practice)
    report = health.Health(settings.service, settings.instance_id)
    report.sessions = sessions
    if bus is not None:
        report.add("nats", health.bus_check(bus))
    for name, check in (checks or {}).items():
        report.add(name, check)
    life = _Life(settings, bus, report, startup=startup, shutdown=shutdown, background=background)
    app = FastAPI(title=title or settings.service, lifespan=life.span, docs_url=None, redoc_url=None)
    app.state.settings, app.state.bus, app.state.health = settings, bus, report
    app.state.auth = Authenticator(settings)
    app.state.stopping = [*stopping, life.announce]
    problems.install(app)
    app.add_middleware(metrics.HttpMetrics)
    for router in (health.router, metrics.router, *routers):
        app.include_router(router, max_body_size=max_body_bytes)  # inside the middleware: counted, and a problem
    apidocs.install(app)
    return app


class _Life:
    """Starts and stops what an application consists of."""

    def __init__(
        self,
        settings: ServiceSettings,
        bus: Bus | None,
        report: health.Health,
        *,
        startup: Sequence[Hook],
        shutdown: Sequence[Hook],
        background: Sequence[Work],
    ) -> None:
        self._settings, self._bus, self._report = settings, bus, report
        self._startup, self._shutdown, self._background = startup, shutdown, background
        self._supervisor = Supervisor(report)

    def announce(self) -> None:
        """At the first signal: say so in health, and pull no more."""
        self._report.stopping = True
        for subscription in self._bus.subscriptions if self._bus is not None else ():
            subscription.announce_stop()

    @contextlib.asynccontextmanager
    async def span(self, _: FastAPI) -> AsyncIterator[None]:
        self._report.add("startup", self._started, needed=True)
        self._ready = asyncio.Event()
        if self._bus is not None:
            await self._bus.start()
        self._supervisor.start([self.startup])
        try:
            yield
        finally:
            self.announce()
            await self._end()

    async def _started(self) -> None:
        if not self._ready.is_set():
            raise RuntimeError(self._report.tasks.get("startup", "starting"))

    async def startup(self) -> None:
        """Run the startup hooks (again from the first where one raised), then the background tasks."""
        for hook in self._startup:
            await hook()
        self._supervisor.start(self._background)
        self._ready.set()

    async def _end(self) -> None:
        await self._supervisor.stop(self._settings.shutdown_grace_seconds)
        for hook in self._shutdown:
            try:
                await asyncio.wait_for(hook(), self._settings.shutdown_grace_seconds)
            except Exception as error:
                _log.error("shutdown hook failed", exc_info=error)
        if self._bus is not None:
            await self._bus.stop()


class _Server(uvicorn.Server):
    """Tells the application at the first signal, not only after the last connection has closed."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Run the application's `stopping` callbacks, then let uvicorn stop."""
        if isinstance(self.config.app, FastAPI):
            for callback in self.config.app.state.stopping:
                callback()
        super().handle_exit(sig, frame)


def run(app_factory: Callable[[], FastAPI], settings: ServiceSettings) -> None:
    """Serve until SIGTERM or SIGINT; open requests get `shutdown_grace_seconds`, event streams end at once."""
    app = app_factory()
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=max(1, round(settings.shutdown_grace_seconds)),
        server_header=False,
    )
    _spare_the_collector()
    _Server(config).run()


def _spare_the_collector() -> None:
    """Leave what was imported out of every later collection, and collect a tenth as often: a tenth of a busy process."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
