"""Prometheus metrics every service has, and the middleware that counts requests by route."""

import time

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from servicekit import tracing

REQUESTS = Counter("kurir_http_requests_total", "HTTP requests", ["method", "route", "status"])
REQUEST_SECONDS = Histogram("kurir_http_request_seconds", "Seconds to answer a request", ["method", "route"])
PUBLISHED = Counter("kurir_bus_published_total", "Messages a stream acknowledged", ["kind"])
HANDLED = Counter("kurir_bus_handled_total", "Messages by how they were settled", ["durable", "outcome"])
HANDLE_SECONDS = Histogram("kurir_bus_handle_seconds", "Seconds a batch took", ["durable"])
TASK_RESTARTS = Counter("kurir_task_restarts_total", "Background tasks started again after an error", ["task"])
DEPENDENCY_UP = Gauge("kurir_dependency_up", "1 where a dependency answers", ["name"])

router = APIRouter()


@router.get("/metrics", include_in_schema=False)
async def metrics() -> Response:
    """Return the process's metrics in Prometheus' text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


class HttpMetrics:
    """Counts and times requests by route template (never by path: ids would explode it), inside their trace."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap *app*."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started, status = time.perf_counter(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            with tracing.continued(headers):
                return await self._app(scope, receive, watched)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            REQUESTS.labels(scope["method"], route, status).inc()
            REQUEST_SECONDS.labels(scope["method"], route).observe(time.perf_counter() - started)
