"""Quick replies: texts a person inserts with `/`. Plain records."""

from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field
from servicekit.clock import utcnow
from servicekit.errors import Conflict, NotFound, StaleVersion
from servicekit.mongo import DuplicateKey
from servicekit.pagination import Page
from servicekit.versions import version_of

from campaigns.contacts.store import new_id
from campaigns.http import Ctx, IfMatch, Operator, Viewer, etag, shown

router = APIRouter(prefix="/v1/quick-replies", tags=["inbox"])
MOST = 500


class QuickReply(BaseModel):
    """What `/shortcut` stands for."""

    model_config = ConfigDict(extra="forbid")
    shortcut: str = Field(pattern=r"^[\w-]{1,40}$")
    text: str = Field(min_length=1, max_length=20_000)
    version: int | None = Field(default=None, ge=1, description="For an edit: the version it is based on")


@router.get("")
async def list_quick_replies(ctx: Ctx, _: Viewer) -> Page[dict[str, Any]]:
    """List them by shortcut."""
    found = await ctx.db["quick_replies"].find_list({}, sort=[("shortcut", 1)], limit=MOST)
    return Page(items=[shown(one) for one in found])


@router.post("", status_code=201)
async def create_quick_reply(ctx: Ctx, _: Operator, given: QuickReply, response: Response) -> dict[str, Any]:
    """Make one; refused where the shortcut is taken."""
    made = {"_id": new_id(), **given.model_dump(exclude={"version"}), "version": 1, "updated_at": utcnow()}
    made["shortcut"] = given.shortcut.casefold()
    try:
        await ctx.db["quick_replies"].insert_one(made)
    except DuplicateKey as error:
        raise Conflict(f"/{given.shortcut} is taken", reason="name_taken") from error
    response.headers.update(etag(made))
    return shown(made)


@router.put("/{quick_reply_id}")
async def edit_quick_reply(
    *, ctx: Ctx, _: Operator, quick_reply_id: str, given: QuickReply, response: Response, if_match: IfMatch = None
) -> dict[str, Any]:
    """Replace one at the version read."""
    version = version_of(if_match, given.version)
    where = {"_id": quick_reply_id, **({"version": version} if version is not None else {})}
    fields = {"shortcut": given.shortcut.casefold(), "text": given.text, "updated_at": utcnow()}
    try:
        saved = await ctx.db["quick_replies"].find_one_and_update(where, {"$set": fields, "$inc": {"version": 1}})
    except DuplicateKey as error:
        raise Conflict(f"/{given.shortcut} is taken", reason="name_taken") from error
    if saved is None:
        raise StaleVersion((await _known(ctx.db["quick_replies"], quick_reply_id))["version"])
    response.headers.update(etag(saved))
    return shown(saved)


@router.delete("/{quick_reply_id}", status_code=204)
async def delete_quick_reply(ctx: Ctx, _: Operator, quick_reply_id: str) -> Response:
    """Delete one."""
    await _known(ctx.db["quick_replies"], quick_reply_id)
    await ctx.db["quick_replies"].delete_one({"_id": quick_reply_id})
    return Response(status_code=204)


async def _known(collection: Any, quick_reply_id: str) -> dict[str, Any]:
    found: dict[str, Any] | None = await collection.find_one({"_id": quick_reply_id})
    if found is None:
        raise NotFound(f"there is no quick reply {quick_reply_id}")
    return found
