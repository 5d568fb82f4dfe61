"""Campaigns over HTTP."""

from typing import Annotated, Any

from contracts.base import Id
from contracts.commands import Recipient
from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel
from servicekit.pagination import Page
from servicekit.tracing import new_id
from servicekit.versions import version_of

from campaigns.campaign import store, usecases
from campaigns.campaign.domain import CampaignEdit, CampaignIn, Status
from campaigns.campaign.store import Campaign
from campaigns.contacts.importing import upload
from campaigns.http import Ctx, Cursor, IfMatch, Limit, Operator, Viewer, etag, shown
from campaigns.outbox.rows import ENDED

router = APIRouter(prefix="/v1/campaigns", tags=["campaigns"])
FILE_BYTES = 256 << 20
_MACHINERY = (
    "k", "open", "numbers", "low", "touched", "epoch", "lease_until", "lease_holder", "kind", "due_at", "media",
    "paced_until", "today",
)  # fmt: skip


class TestSend(BaseModel):
    """To whom a test goes, and from which of the campaign's accounts (default: the first)."""

    __test__ = False
    to: Recipient
    account: Id | None = None


def _out(campaign: Campaign) -> dict[str, Any]:
    made = shown(campaign, without=_MACHINERY)
    if made.get("file"):
        made["file"] = {name: made["file"][name] for name in ("filename", "size", "columns", "mapping")}
    return {**made, "progress": _progress(campaign)}


def _progress(campaign: Campaign) -> dict[str, Any]:
    counts = campaign.get("counts") or {}
    ended = sum(counts.get(state, 0) for state in ENDED)
    total = ended + counts.get("pending", 0) + counts.get("queued", 0)
    percent = round(100 * ended / total, 1) if total else 0.0
    return {"total": total, "ended": ended, "percent": percent, "expanding": _expanding(campaign)}


def _expanding(campaign: Campaign) -> bool:
    return campaign["status"] == "processing" and (campaign.get("expansion") or {}).get("phase") != "done"


@router.post("", status_code=201)
async def create_campaign(ctx: Ctx, _: Operator, wanted: CampaignIn, response: Response) -> dict[str, Any]:
    """Create a draft."""
    made = await usecases.create(ctx, wanted)
    response.headers.update(etag(made))
    return _out(made)


@router.get("")
async def list_campaigns(
    ctx: Ctx,
    _: Viewer,
    status: Status | None = None,
    q: Annotated[str | None, Query(max_length=200)] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[dict[str, Any]]:
    """Return campaigns, newest first; *q* is the beginning of a name."""
    page = await usecases.listed(ctx, status, q, cursor, limit)
    return Page(items=[_out(one) for one in page.items], next_cursor=page.next_cursor)


@router.get("/{campaign_id}")
async def read_campaign(ctx: Ctx, _: Viewer, campaign_id: str, response: Response) -> dict[str, Any]:
    """Return a campaign with its counts and progress."""
    found = await store.get(ctx, campaign_id)
    response.headers.update(etag(found))
    return _out(found)


@router.patch("/{campaign_id}")
async def edit_campaign(
    ctx: Ctx, _: Operator, campaign_id: str, changes: CampaignEdit, response: Response, if_match: IfMatch = None
) -> dict[str, Any]:
    """Change what is given; the version read goes into If-Match or `version`."""
    version = version_of(if_match, changes.version)
    found = await usecases.edit(ctx, campaign_id, version, changes.model_extra or {})
    response.headers.update(etag(found))
    return _out(found)


@router.delete("/{campaign_id}", status_code=204)
async def delete_campaign(ctx: Ctx, _: Operator, campaign_id: str) -> Response:
    """Delete a draft."""
    await usecases.delete(ctx, campaign_id)
    return Response(status_code=204)


@router.put("/{campaign_id}/file", max_body_size=FILE_BYTES)
async def upload_recipients(ctx: Ctx, _: Operator, campaign_id: str, request: Request) -> dict[str, Any]:
    """Take a CSV of recipients (multipart field `file`, or the body itself); its columns become variables."""
    async with upload.received(request, ctx.settings.import_max_bytes) as (file, options):
        return _out(await usecases.upload(ctx, campaign_id, file, options))


@router.get("/{campaign_id}/preview")
async def preview_campaign(
    ctx: Ctx, _: Viewer, campaign_id: str, limit: Annotated[int, Query(ge=1, le=50)] = 5
) -> dict[str, Any]:
    """Return the first messages rendered, each with the variables it misses."""
    return await usecases.preview(ctx, campaign_id, limit)


@router.post("/{campaign_id}/test-send", status_code=202)
async def send_test(
    ctx: Ctx,
    _: Operator,
    campaign_id: str,
    wanted: TestSend,
    key: Annotated[str | None, Header(alias="Idempotency-Key", max_length=200)] = None,
) -> dict[str, str]:
    """Send one message to oneself; the row is to be watched in the outbox."""
    return {"row": await usecases.test_send(ctx, campaign_id, wanted.to, wanted.account, key or new_id())}


@router.post("/{campaign_id}/process")
async def process_campaign(ctx: Ctx, _: Operator, campaign_id: str, allow_missing: bool = False) -> dict[str, Any]:
    """Check everything, then begin (now, or at the schedule's start)."""
    return _out(await usecases.process(ctx, campaign_id, allow_missing=allow_missing))


@router.post("/{campaign_id}/pause")
async def pause_campaign(ctx: Ctx, _: Operator, campaign_id: str) -> dict[str, Any]:
    """Stop sending; what is queued waits for Resume."""
    return _out(await usecases.pause(ctx, campaign_id))


@router.post("/{campaign_id}/resume")
async def resume_campaign(ctx: Ctx, _: Operator, campaign_id: str, allow_missing: bool | None = None) -> dict[str, Any]:
    """Go on where it stopped."""
    return _out(await usecases.resume(ctx, campaign_id, allow_missing=allow_missing))


@router.post("/{campaign_id}/cancel")
async def cancel_campaign(ctx: Ctx, _: Operator, campaign_id: str) -> dict[str, Any]:
    """End the campaign; what has not gone out is cancelled."""
    return _out(await usecases.cancel(ctx, campaign_id))


@router.post("/{campaign_id}/retry")
async def retry_campaign(ctx: Ctx, _: Operator, campaign_id: str) -> dict[str, Any]:
    """Send again what failed."""
    return _out(await usecases.retry_failed(ctx, campaign_id))


@router.post("/{campaign_id}/duplicate", status_code=201)
async def duplicate_campaign(ctx: Ctx, _: Operator, campaign_id: str) -> dict[str, Any]:
    """Return a new draft like this campaign."""
    return _out(await usecases.duplicate(ctx, campaign_id))
