"""What all routes share: problem documents in OpenAPI, ETags, cursors, and statuses of our own errors."""

from typing import Annotated, Any

from fastapi import FastAPI, Header, Query, Request, Response
from pydantic import BaseModel, Field
from servicekit.pagination import MAX_PAGE
from servicekit.problems import problem

from accounts.operators.usecases import TooManyAttempts

Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="Items per page")]
Cursor = Annotated[str | None, Query(max_length=500, description="`next_cursor` of the page before")]
IfMatch = Annotated[str | None, Header(description='The ETag the edit is based on, such as `"3"`', max_length=100)]
IdempotencyKey = Annotated[
    str | None, Header(min_length=1, max_length=200, description="The same key again gives the same account")
]


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
    406: "It exists in another type only",
    409: "It cannot be done in the present state",
    410: "It has expired",
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


def install(app: FastAPI) -> None:
    """Give our own errors their statuses."""

    async def too_many(_: Request, error: TooManyAttempts) -> Response:
        retry = {"Retry-After": str(error.after_seconds)}
        return problem(429, "too_many_attempts", "Too many failed sign-ins; try again later.", headers=retry)

    app.add_exception_handler(TooManyAttempts, too_many)  # type: ignore[arg-type]  # Starlette types all as Exception
