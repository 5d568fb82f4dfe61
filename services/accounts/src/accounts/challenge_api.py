"""HTTP → what a login shows to a person: for operators only, never cached, never logged."""

import asyncio
from datetime import datetime
from typing import Annotated, Literal

from contracts.channels import BROWSERS
from contracts.state import SessionStatus
from fastapi import APIRouter, Header, HTTPException, Response
from pydantic import BaseModel, Field

from accounts import challenge, usecases
from accounts.context import Ctx, Operator
from accounts.http import problems

router = APIRouter(prefix="/v1/accounts/{account_id}/challenge", tags=["login"])
_NEVER_KEPT = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Vary": "Accept"}
_PICTURE = {"image/png": {"schema": {"type": "string", "format": "binary"}}, "text/plain": {}}


class ChallengeView(BaseModel):
    """What the platform asks of a person."""

    account_id: str
    status: SessionStatus
    reason: str = Field(description="The page's own words, where only a person can go on")
    id: str = Field(description="To be named in the answer")
    kind: Literal["qr", "code_to_enter", "code", "password", "person"]
    hint: str
    expires_at: datetime | None
    resend_after: datetime | None
    shown: Literal["qr", "code_to_enter", "image/png"] | None = Field(
        description="What `…/challenge/picture` shows: a QR code, a code to type into the phone, a screenshot"
    )
    session_import: bool = Field(
        description="Whether a person may instead log in on their own computer and import the session (`kurir login`)"
    )


@router.get("", summary="What a login asks of a person", responses=problems(404))
async def ask(_: Operator, ctx: Ctx, account_id: str) -> ChallengeView:
    """Return the challenge; 404 where nothing is asked. A QR code changes often: `id` tells whether it did."""
    account = await usecases.get(ctx.store, account_id)
    found = await challenge.asked(ctx.sessions, account)
    shown = found.shown.kind if found.shown else None
    return ChallengeView(
        account_id=account.id,
        status=found.state.status,
        reason=found.state.reason,
        shown=shown,
        session_import=account.channel in BROWSERS,
        **found.challenge.model_dump(),
    )


@router.get(
    "/picture",
    summary="The QR code, the code to type, or a screenshot",
    response_class=Response,
    responses={200: {"content": _PICTURE, "description": "A PNG, or the text itself"}, **problems(404, 406, 410)},
)
async def picture(
    _: Operator,
    ctx: Ctx,
    account_id: str,
    accept: Annotated[str, Header(description="`text/plain` gives the QR code's text or the code itself")] = "*/*",
) -> Response:
    """Return what the person has to see, as a picture with its quiet zone; or its text for a program."""
    account = await usecases.get(ctx.store, account_id)
    found = await challenge.seen(ctx.sessions, ctx.vault, account)
    if not _wants_text(accept):
        return Response(await asyncio.to_thread(found.picture), media_type="image/png", headers=_NEVER_KEPT)
    if not found.is_text:
        raise HTTPException(406, "This is a screenshot: ask for image/png.")
    return Response(found.data, media_type="text/plain", headers=_NEVER_KEPT)


def _wants_text(accept: str) -> bool:
    """Return whether the first type a client names is plain text."""
    return accept.partition(",")[0].partition(";")[0].strip().lower() == "text/plain"
