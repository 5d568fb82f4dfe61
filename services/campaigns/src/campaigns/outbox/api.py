"""The outbox over HTTP, and the stream of changes of the whole service."""

from datetime import datetime
from typing import Annotated, Any, Literal

from contracts.base import Id
from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from servicekit import sse
from servicekit.pagination import Page

from campaigns.campaign.content import compiled
from campaigns.campaign.store import collection
from campaigns.http import Ctx, Cursor, Operator, Viewer
from campaigns.outbox import counts, listing, usecases
from campaigns.outbox.listing import OutboxFilter
from campaigns.outbox.zones import SLICES

router = APIRouter(prefix="/v1/outbox", tags=["outbox"])
events = APIRouter(prefix="/v1/events", tags=["events"])
State = Literal["pending", "queued", "sending", "sent", "delivered", "read", "failed", "unknown", "cancelled"]


class Again(BaseModel):
    """What a person accepts by asking again."""

    accept_second_copy: bool = False


@router.get("")
async def list_messages(  # noqa: PLR0917  # FastAPI fills them by name
    ctx: Ctx,
    _: Viewer,
    state: Annotated[list[State] | None, Query()] = None,
    account: Id | None = None,
    campaign: Id | None = None,
    channel: Annotated[str | None, Query(max_length=40)] = None,
    kind: Literal["campaign", "automation", "reply", "test"] | None = None,
    q: Annotated[str | None, Query(max_length=320)] = None,
    since: datetime | None = None,
    until: datetime | None = None,
    bounced: bool | None = None,
    answered: bool | None = None,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 50,
) -> Page[dict[str, Any]]:
    """Return messages, newest first; *q* is the beginning of a recipient's address or name."""
    wanted = OutboxFilter(
        state=list(state or []), account=account, campaign=campaign, channel=channel, kind=kind, q=q, since=since,
        until=until, bounced=bounced, answered=answered, cursor=cursor, limit=limit,
    )  # fmt: skip
    return await listing.listed(ctx, wanted)


@router.get("/counts")
async def read_counts(ctx: Ctx, _: Viewer, account: Id | None = None, campaign: Id | None = None) -> dict[str, Any]:
    """Return how many messages are in each state, in all or of an account or campaign, as kept."""
    where = {name: value for name, value in (("account", account), ("campaign", campaign)) if value}
    found = [one async for one in ctx.db[SLICES].find(where, {"counts": 1})]
    return {"counts": counts.total(found), "sending": len(listing.in_flight(ctx.accounts))}


@router.get("/queues")
async def read_queues(ctx: Ctx, _: Viewer) -> dict[str, Any]:
    """Return each account's queue length, the time of its next message, and whether its worker sends."""
    return {
        "items": [
            {
                "account": one.account_id, "channel": one.channel, "status": one.status, "worker": one.worker,
                "queue_length": one.queue_length, "next_send_at": one.next_send_at, "sending": len(one.in_flight),
                "restricted_until": one.restricted_until, "reason": one.restricted_reason or one.reason,
            }
            for one in ctx.accounts.sessions()
        ]
    }  # fmt: skip


@router.get("/{row_id}")
async def read_message(ctx: Ctx, _: Viewer, row_id: str) -> dict[str, Any]:
    """Return one message with what it says, rendered."""
    row = await usecases.get(ctx, row_id)
    made = listing.shown(row, listing.in_flight(ctx.accounts))
    if row.get("content") is None and (campaign := await collection(ctx).find_one({"_id": row["campaign"]})):
        return {**made, "content": compiled(campaign).render(row["vars"], row_id).model_dump(mode="json")}
    return {**made, "content": row.get("content")}


@router.post("/{row_id}/retry")
async def retry_message(ctx: Ctx, _: Operator, row_id: str, wanted: Again | None = None) -> dict[str, Any]:
    """Send it again: after a failure or cancelling, or (accepting a second copy) when nobody knows."""
    row = await usecases.retry(ctx, row_id, accept_second_copy=bool(wanted and wanted.accept_second_copy))
    return listing.shown(row, listing.in_flight(ctx.accounts))


@router.post("/{row_id}/cancel")
async def cancel_message(ctx: Ctx, _: Operator, row_id: str) -> dict[str, Any]:
    """Cancel it, if it has not gone out."""
    return listing.shown(await usecases.cancel(ctx, row_id), listing.in_flight(ctx.accounts))


@events.get("")
async def stream_changes(ctx: Ctx, _: Viewer, request: Request) -> StreamingResponse:
    """Return server-sent events: `campaign`, `row`, `conversation`, … with ids; clients fetch again."""
    return sse.stream(request, ctx.hub)
