"""What all routes share: problem documents in OpenAPI, ETags, cursors, and statuses of our own errors."""

import re
from typing import Annotated, Any

from fastapi import FastAPI, Header, Query, Request, Response
from pydantic import BaseModel, Field
from servicekit.errors import Invalid
from servicekit.pagination import MAX_PAGE
from servicekit.problems import problem

from accounts.domain import StaleVersion, VersionRequired
from accounts.operators.usecases import TooManyAttempts

Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="Items per page")]
Cursor = Annotated[str | None, Query(max_length=500, description="`next_cursor` of the page before")]
IfMatch = Annotated[str | None, Header(description='The ETag the edit is based on, such as `"3"`', max_length=100)]
IdempotencyKey = Annotated[
    str | None, Header(min_length=1, max_length=200, description="The same key again gives the same account")
]
_ETAG = re.compile(r'^\s*(?:W/)?"?(\d{1,18})"?\s*$')


class FieldError(BaseModel):
    """What is wrong with one field."""

    field: str
    message: str


class Problem(BaseModel):
    """RFC 9457: `reason` is for programs, `detail` for people."""

    type: str
    title: str
    status: int
    reason: str
    detail: str
    errors: list[FieldError] = Field(default_factory=list, description="Invalid input, field by field")
    version: int | None = Field(default=None, description="412: the present version")


_WORDS = {
    401: "No valid token",
    403: "The role may not do this",
    404: "It does not exist",
    409: "It cannot be done in the present state",
    412: "Somebody else changed it first",
    413: "The body is too large",
    422: "The input cannot be accepted",
    428: "Say which version the edit is based on",
    429: "Too many attempts; Retry-After says when",
    503: "NATS, the store or the channel's service is away; Retry-After says when",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route; 401, 403, 422 and 503 are everywhere."""
    return {status: {"description": _WORDS[status], "model": Problem} for status in {401, 403, 422, 503, *statuses}}


def etag(response: Response, version: int) -> None:
    """Say which version the answer shows."""
    response.headers["ETag"] = f'"{version}"'


def version_of(if_match: str | None, version: int | None = None) -> int | None:
    """Return the version an edit is based on, None for `*`. Raises VersionRequired, Invalid."""
    if if_match is None and version is None:
        raise VersionRequired("Send If-Match with the ETag, or `version` in the body.")
    if if_match is None:
        return version
    if if_match.strip() == "*":
        return None
    found = _ETAG.match(if_match)
    if found is None:
        raise Invalid({"If-Match": 'must be an ETag of ours, such as "3"'})
    return int(found[1])


def install(app: FastAPI) -> None:
    """Give our own errors their statuses."""

    async def stale(_: Request, error: StaleVersion) -> Response:
        return problem(412, error.reason, error.detail, headers={"ETag": f'"{error.version}"'}, version=error.version)

    async def required(_: Request, error: VersionRequired) -> Response:
        return problem(428, error.reason, error.detail)

    async def too_many(_: Request, error: TooManyAttempts) -> Response:
        retry = {"Retry-After": str(error.after_seconds)}
        return problem(429, "too_many_attempts", "Too many failed sign-ins; try again later.", headers=retry)

    app.add_exception_handler(StaleVersion, stale)  # type: ignore[arg-type]  # Starlette types all as Exception
    app.add_exception_handler(VersionRequired, required)  # type: ignore[arg-type]
    app.add_exception_handler(TooManyAttempts, too_many)  # type: ignore[arg-type]
