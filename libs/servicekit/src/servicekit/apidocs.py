"""The OpenAPI document as it truly is, and `/docs`: the same for people, without scripts and without the internet."""

from collections.abc import Callable
from functools import partial
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from servicekit.apipage import page
from servicekit.auth.guard import unguarded
from servicekit.problems import MEDIA_TYPE

Document = dict[str, Any]

_PROBLEM: Document = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457: `reason` is for programs, `detail` for people.",
    "required": ["type", "title", "status", "reason", "detail"],
    "properties": {
        **{name: {"type": "string"} for name in ("type", "title", "reason", "detail")},
        "status": {"type": "integer"},
        "errors": {
            "type": "array",
            "description": "Invalid input, field by field",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
_EVERYWHERE = {
    "401": "No valid token",
    "403": "The role may not do this",
    "422": "The input cannot be accepted",
    "503": "NATS, the store or the channel's service is away; Retry-After says when",
}
"""What every guarded route may answer."""
_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'", "X-Frame-Options": "DENY"}


def install(app: FastAPI) -> None:
    """Correct what FastAPI cannot be told about our routes, and serve `/docs`."""
    app.openapi = partial(_corrected, app, app.openapi)  # type: ignore[method-assign]  # FastAPI's documented way

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(page(app.openapi()), headers=_HEADERS)


def _corrected(app: FastAPI, make: Callable[[], Document]) -> Document:
    """Add the bearer token of each guarded route, and say that errors are problem documents."""
    document = make()
    parts = document.setdefault("components", {})
    parts["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    schemas = parts.setdefault("schemas", {})
    schemas.setdefault("Problem", _PROBLEM)
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    open_routes = set(unguarded(app))
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            _correct(route, guarded=f"{method.upper()} {path}" not in open_routes)
    return document


def _correct(route: Document, *, guarded: bool) -> None:
    answers: Document = route["responses"]
    if guarded:
        route["security"] = [{"bearer": []}]
        for status, words in _EVERYWHERE.items():
            answers.setdefault(status, {"description": words})
    for status in [status for status in answers if status >= "400"]:
        problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
        answers[status] = {**answers[status], "content": {MEDIA_TYPE: problem}}
    if answers.get("422", {}).get("description") == "Validation Error":
        answers["422"]["description"] = _EVERYWHERE["422"]
