"""Suppressions over HTTP, and the public one-click page."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from servicekit.errors import Unavailable
from servicekit.pagination import Page
from servicekit.secrets import SealError

from campaigns import csvout
from campaigns.context import Context
from campaigns.http import Ctx, Cursor, Limit, Operator, Viewer, shown
from campaigns.suppression import page, store, tokens, transfer, usecases

router = APIRouter(prefix="/v1/suppressions", tags=["suppressions"])
public_router = APIRouter(tags=["public"])
MAX_FILE_BYTES = 20 << 20
COLUMNS = ("channel", "address", "reason", "at", "source", "campaign", "note")


class NewSuppression(BaseModel):
    """An address that shall not be written to."""

    model_config = ConfigDict(extra="forbid")

    channel: str
    address: str = Field(min_length=1, max_length=320)
    reason: Literal["manual", "blocked", "unsubscribed", "bounced", "complained"] = "manual"
    note: str = Field(default="", max_length=2000)


@router.get("")
async def list_suppressions(
    *,
    ctx: Ctx,
    _: Viewer,
    channel: str = "",
    reason: str = "",
    q: Annotated[str, Query(max_length=320)] = "",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[dict[str, Any]]:
    """List suppressions, newest first; *q* is the beginning of an address."""
    found = await usecases.listed(ctx, channel=channel, reason=reason, q=q, cursor=cursor, limit=limit)
    return Page(items=[shown(one) for one in found.items], next_cursor=found.next_cursor)


@router.post("", status_code=201)
async def add_suppression(ctx: Ctx, who: Operator, given: NewSuppression) -> dict[str, Any]:
    """Suppress an address by hand."""
    source = f"operator {who.subject}"
    return shown(await usecases.suppress(ctx, given.channel, given.address, given.reason, source, note=given.note))


@router.get("/export")
async def export_suppressions(ctx: Ctx, _: Operator) -> StreamingResponse:
    """Download all as CSV; `key` brings those back whose address is not known."""
    return csvout.download("suppressions.csv", ("key", *COLUMNS), _rows(ctx))


async def _rows(ctx: Context) -> AsyncIterator[list[object]]:
    async for one in store.every(ctx):
        yield [one["_id"], *(one.get(name, "") for name in COLUMNS)]


@router.post("/import", max_body_size=MAX_FILE_BYTES)
async def import_suppressions(ctx: Ctx, who: Operator, request: Request, channel: str = "email") -> dict[str, Any]:
    """Suppress every address of a CSV (columns address, channel, reason, note); tells each line that was refused."""
    return await transfer.take(ctx, await request.body(), channel, f"import by {who.subject}")


@router.delete("/{key}", status_code=204)
async def lift_suppression(ctx: Ctx, _: Operator, key: str) -> Response:
    """Allow writing again: an operator's decision only."""
    await usecases.lift(ctx, key)
    return Response(status_code=204)


@public_router.get("/u/{token}", response_class=HTMLResponse)
async def ask(ctx: Ctx, token: str) -> HTMLResponse:
    """Show the page with one button; changes nothing."""
    try:
        return page.ask(tokens.read(ctx, token).channel)
    except (SealError, ValueError):
        return page.unknown()


@public_router.post("/u/{token}", response_class=HTMLResponse)
async def act(ctx: Ctx, token: str) -> HTMLResponse:
    """Unsubscribe (RFC 8058 sends no cookie and no token): 200 only once it is written down."""
    try:
        claim = tokens.read(ctx, token)
    except (SealError, ValueError):
        return page.unknown()
    try:
        await usecases.unsubscribe(ctx, claim)
    except Unavailable as error:
        return page.later(error.after_seconds)
    return page.done(claim.channel)
