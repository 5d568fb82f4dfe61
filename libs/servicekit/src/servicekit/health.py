"""Is the process alive, can it work, and what of its dependencies and sessions: /livez, /readyz, /healthz."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from servicekit.clock import utcnow
from servicekit.errors import Unavailable
from servicekit.metrics import DEPENDENCY_UP

Check = Callable[[], Awaitable[Any]]
CHECK_TIMEOUT_SECONDS = 3.0
READY = ("ok", "degraded")
"""Requests are served: of what is lacking the service can do without."""


class Dependency(BaseModel):
    """One thing the service needs."""

    status: str = Field(description="ok or down")
    latency_seconds: float | None = None
    last_ok: datetime | None = None
    detail: str = ""


class SessionHealth(BaseModel):
    """One session of a channel."""

    status: str
    last_proof_of_life: datetime | None = None
    detail: str = ""


class Report(BaseModel):
    """What /healthz says."""

    status: str = Field(description="ok, degraded (it works, but lacks something), down or stopping")
    service: str
    instance: str
    dependencies: dict[str, Dependency]
    tasks: dict[str, str] = Field(default_factory=dict, description="Background tasks: running, or why not")
    sessions: dict[str, SessionHealth] = Field(default_factory=dict)


Sessions = Callable[[], Mapping[str, SessionHealth]]


class Health:
    """The registry: dependencies by name, background tasks, and where sessions come from."""

    def __init__(self, service: str, instance: str) -> None:
        """Name the process."""
        self.service, self.instance = service, instance
        self.tasks: dict[str, str] = {}
        self.sessions: Sessions | None = None
        self.stopping = False
        self._checks: dict[str, tuple[Check, bool]] = {}
        self._last_ok: dict[str, datetime] = {}

    def add(self, name: str, check: Check, *, needed: bool = True) -> None:
        """Register a check: it raises where the dependency is away.

        *needed*: without it the service is not ready; otherwise it is `degraded`, and says what it lacks.
        """
        self._checks[name] = (check, needed)

    async def dependency(self, name: str) -> Dependency:
        """Run one check."""
        started = time.perf_counter()
        try:
            await asyncio.wait_for(self._checks[name][0](), CHECK_TIMEOUT_SECONDS)
        except Exception as error:
            DEPENDENCY_UP.labels(name).set(0)
            detail = f"no answer within {CHECK_TIMEOUT_SECONDS:g} s" if isinstance(error, TimeoutError) else str(error)
            return Dependency(status="down", last_ok=self._last_ok.get(name), detail=detail[:300])
        self._last_ok[name] = utcnow()
        DEPENDENCY_UP.labels(name).set(1)
        return Dependency(
            status="ok", latency_seconds=round(time.perf_counter() - started, 6), last_ok=self._last_ok[name]
        )

    async def report(self) -> Report:
        """Run every check."""
        names = list(self._checks)
        found = dict(zip(names, await asyncio.gather(*(self.dependency(n) for n in names)), strict=True))
        away = [n for n in names if found[n].status != "ok"]
        down = any(self._checks[n][1] for n in away)
        status = "stopping" if self.stopping else "down" if down else "degraded" if away else "ok"
        sessions = dict(self.sessions()) if self.sessions else {}
        return Report(
            status=status,
            service=self.service,
            instance=self.instance,
            dependencies=found,
            tasks=dict(self.tasks),
            sessions=sessions,
        )


def bus_check(bus: Any) -> Check:
    """Return the check of NATS and of the subscriptions on it."""

    async def check() -> None:
        if not bus.connected:
            raise Unavailable(bus.problem or "not connected")
        await bus.nc.flush(timeout=2)
        waiting: Iterable[str] = [s.problem for s in bus.subscriptions if s.problem]
        if bus.problem or waiting:
            raise Unavailable("; ".join(filter(None, [bus.problem, *waiting])))

    return check


router = APIRouter(tags=["health"])


def _health(request: Request) -> Health:
    health: Health = request.app.state.health
    return health


@router.get("/livez")
async def livez() -> dict[str, str]:
    """Answer while the process lives; says nothing of its dependencies."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(request: Request, response: Response) -> dict[str, Any]:
    """Answer 200 when requests can be served, 503 with what is missing otherwise."""
    report = await _health(request).report()
    response.status_code = 200 if report.status in READY else 503
    return {
        "status": report.status,
        "down": {n: d.detail for n, d in report.dependencies.items() if d.status != "ok"},
    }


@router.get("/healthz")
async def healthz(request: Request) -> Report:
    """Answer every dependency, task and session by name; 200 as long as this can be said."""
    return await _health(request).report()
