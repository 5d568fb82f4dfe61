"""Errors as RFC 9457 problem documents: what is wrong, in which field, and when to come back."""

import json
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from servicekit import errors
from servicekit.logs import get_logger

MEDIA_TYPE = "application/problem+json"
DEFAULT_BODY_BYTES = 1 << 20

_STATUS: dict[type[errors.KurirError], int] = {
    errors.NotFound: 404,
    errors.Gone: 410,
    errors.StaleVersion: 412,  # before Conflict, which it is too
    errors.VersionRequired: 428,
    errors.Conflict: 409,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.Invalid: 422,
    errors.TooLarge: 413,
    errors.Unavailable: 503,
    errors.Retry: 503,
    errors.Permanent: 422,
}
_NO_OBJECT = "must be a JSON object, sent with Content-Type: application/json"
_log = get_logger("servicekit.problems")


class _Json(JSONResponse):
    """JSON of whatever a client sent: half a surrogate pair in a field's name stays an escape."""

    def render(self, content: Any) -> bytes:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8", "backslashreplace")


def problem(
    status: int, reason: str, detail: str = "", *, headers: Mapping[str, str] | None = None, **more: Any
) -> JSONResponse:
    """Return a problem document; *reason* is stable and in snake_case, *detail* is for people."""
    body = {
        "type": f"urn:kurir:problem:{reason}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "reason": reason,
        "detail": detail,
        **more,
    }
    return _Json(body, status_code=status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def field_errors(error: RequestValidationError | ValidationError) -> list[dict[str, str]]:
    """Return `[{"field": "smtp.port", "message": …}]`, without the input's values: they may be secrets."""
    return [
        {"field": _field(found), "message": _words(found)} for found in cast("list[dict[str, Any]]", error.errors())
    ]


def _field(found: Mapping[str, Any]) -> str:
    parts = [str(part) for part in found["loc"]]
    if found["type"] == "json_invalid":
        return "body"  # the rest is the position
    if len(parts) > 1 and parts[0] in {"body", "query", "path", "header", "cookie"}:
        parts = parts[1:]
    return ".".join(parts) or "body"


def _words(found: Mapping[str, Any]) -> str:
    """Return pydantic's message in words for a person, where its own are for a programmer."""
    kind, place = found["type"], found["loc"]
    if kind == "missing" and len(place) > 1:
        return "is required"
    if kind in {"missing", "model_attributes_type", "model_type", "dict_type"}:
        return _NO_OBJECT if len(place) == 1 else "must be a JSON object"
    if kind == "json_invalid":
        return f"is not JSON: {found['ctx']['error']} at character {place[-1]}"
    if kind == "too_short" and found["ctx"]["field_type"] == "Value":  # pydantic's name for a secret
        return f"must have at least {found['ctx']['min_length']} characters"
    if kind == "too_long" and found["ctx"]["field_type"] == "Value":
        return f"must have at most {found['ctx']['max_length']} characters"
    return "unknown field" if kind == "extra_forbidden" else str(found["msg"]).removeprefix("Value error, ")


def from_error(error: errors.KurirError) -> JSONResponse:
    """Return the problem of one of our errors."""
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 500)
    headers: dict[str, str] = {}
    more: dict[str, Any] = {}
    if isinstance(error, errors.Unavailable | errors.Retry):
        headers["Retry-After"] = str(max(1, round(error.after_seconds)))
    if isinstance(error, errors.Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, errors.StaleVersion):
        headers["ETag"], more["version"] = f'"{error.version}"', error.version
    if isinstance(error, errors.Invalid):
        more["errors"] = [{"field": f, "message": text} for f, texts in error.fields.items() for text in texts]
    return problem(status, error.reason, error.detail, headers=headers, **more)


async def _ours(request: Request, error: Exception) -> Response:
    answer = from_error(cast("errors.KurirError", error))
    if answer.status_code == 500:
        _log.error("request failed", method=request.method, path=request.url.path, exc_info=error)
    return answer


async def _invalid(_: Request, error: Exception) -> Response:
    found = field_errors(cast("RequestValidationError", error))
    detail = "; ".join(f"{item['field']}: {item['message']}" for item in found)
    return problem(422, "invalid", detail, errors=found)


async def _http(_: Request, error: Exception) -> Response:
    given = cast("HTTPException", error)
    if given.status_code == 413:
        return problem(413, "too_large", "The request body is larger than this route takes.")
    reason = HTTPStatus(given.status_code).phrase.lower().replace(" ", "_").replace("-", "_")
    return problem(given.status_code, reason, str(given.detail), headers=given.headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    _log.error("request failed unexpectedly", method=request.method, path=request.url.path, exc_info=error)
    return problem(500, "internal", "An unexpected error; the log has it under this request's trace id.")


def install(app: FastAPI) -> None:
    """Make every error of *app* a problem document, the refusal of a too large body included."""
    handlers: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
        errors.KurirError: _ours,
        RequestValidationError: _invalid,
        HTTPException: _http,
        Exception: _unexpected,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)
    app.add_middleware(_TooLargeAsProblem)


class _TooLargeAsProblem:
    """FastAPI refuses a body over `max_body_size` in plain text; here it becomes a problem document."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        replaced = False

        async def checked(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and message["status"] == 413 and not _is_problem(message):
                replaced = True
                answer = problem(413, "too_large", "The request body is larger than this route takes.")
                await answer(scope, receive, send)
            elif not replaced:
                await send(message)

        return await self._app(scope, receive, checked)


def _is_problem(message: Message) -> bool:
    return any(name == b"content-type" and MEDIA_TYPE.encode() in value for name, value in message["headers"])
