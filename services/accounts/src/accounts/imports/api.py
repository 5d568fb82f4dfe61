"""HTTP → use case: session imports. What is uploaded is never returned, logged or kept unsealed."""

import base64
import binascii
import re
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Header, Path, Request, Response
from pydantic import BaseModel, Field
from servicekit.errors import Invalid

from accounts import usecases as accounts
from accounts.context import Context, Ctx, Operator, Writing
from accounts.domain import Account
from accounts.forms import Form
from accounts.http import problems
from accounts.imports import usecases
from accounts.imports.domain import Import, State

router = APIRouter(prefix="/v1/accounts/{account_id}/session-imports", tags=["session import"])
_SHA256 = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]+):")
ImportId = Annotated[str, Path(max_length=64)]
ContentDigest = Annotated[
    str, Header(max_length=500, description="RFC 9530, of the body: `sha-256=:<base64>:`", examples=["sha-256=:…:"])
]


class NewImport(Form):
    """A session to be uploaded: a packed browser profile, as `kurir login` makes it."""

    size: int = Field(ge=1, description="Bytes of the whole")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Digest of the whole, in hex")


class ImportView(BaseModel):
    """An import; which pieces are still to come."""

    id: str
    account_id: str
    state: State = Field(
        description="`complete`: waiting for the channel's service; `taken_over`: the account logged in with it; "
        "`refused`: it is no session, the account's log says why; `replaced`: a later import took its place"
    )
    size: int
    sha256: str
    chunk_bytes: int = Field(description="Length of every chunk but the last")
    chunks_total: int = Field(description="Chunks are numbered from 0")
    missing: list[int]
    created_by: str
    created_at: datetime
    expires_at: datetime = Field(description="When a half upload is forgotten")
    completed_at: datetime | None


@router.post(
    "",
    status_code=201,
    summary="Begin a session import",
    responses={200: {"model": ImportView, "description": "Begun before: go on with it"}, **problems(404, 409)},
)
async def begin(who: Operator, ctx: Writing, account_id: str, form: NewImport, response: Response) -> ImportView:
    """Announce a session by size and digest. The same content again gives the same import, so an upload goes on."""
    account = await accounts.get(ctx.store, account_id)
    found, is_new = await usecases.begin(ctx.importing, account, size=form.size, digest=form.sha256, by=who.subject)
    response.status_code = 201 if is_new else 200
    response.headers["Location"] = f"/v1/accounts/{account_id}/session-imports/{found.id}"
    return await _view(ctx, account, found)


@router.get("", summary="List an account's session imports", responses=problems(404))
async def imports(_: Operator, ctx: Ctx, account_id: str) -> list[ImportView]:
    """Return the imports of the last 30 days, the oldest first."""
    account = await accounts.get(ctx.store, account_id)
    return [await _view(ctx, account, one) for one in await ctx.importing.store.of(account.id)]


@router.get("/{import_id}", summary="Read a session import", responses=problems(404))
async def read(_: Operator, ctx: Ctx, account_id: str, import_id: ImportId) -> ImportView:
    """Return which chunks are still missing, and once it is complete what became of it."""
    account = await accounts.get(ctx.store, account_id)
    return await _view(ctx, account, await usecases.get(ctx.importing, account, import_id))


@router.put(
    "/{import_id}/chunks/{number}",
    status_code=204,
    summary="Upload a chunk",
    responses=problems(404, 409, 413),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def put_chunk(
    _: Operator,
    ctx: Writing,
    account_id: str,
    import_id: ImportId,
    number: int,
    request: Request,
    *,
    content_digest: ContentDigest,
) -> None:
    """Keep a chunk, sealed. In any order, several at once, and again after a cut: the same one changes nothing."""
    account = await accounts.get(ctx.store, account_id)
    piece = usecases.Piece(number, _digest(content_digest), await request.body())
    await usecases.put_chunk(ctx.importing, account, import_id, piece)


@router.post("/{import_id}/complete", summary="Complete a session import", responses=problems(404, 409))
async def complete(who: Operator, ctx: Writing, account_id: str, import_id: ImportId) -> ImportView:
    """Check the whole and hand it over: the replica that holds the account logs in with it. May be repeated."""
    account = await accounts.get(ctx.store, account_id)
    found, account = await usecases.complete(ctx.importing, account, import_id, by=who.subject)
    await ctx.announce(account.id)
    return await _view(ctx, account, found)


@router.delete("/{import_id}", status_code=204, summary="Give a session import up", responses=problems(404, 409))
async def give_up(who: Operator, ctx: Writing, account_id: str, import_id: ImportId) -> None:
    """Remove a half upload at once."""
    account = await accounts.get(ctx.store, account_id)
    await usecases.give_up(ctx.importing, account, import_id, by=who.subject)


async def _view(ctx: Context, account: Account, found: Import) -> ImportView:
    kept = found.model_dump(exclude={"channel", "complete", "chunks", "object"})
    missing = [] if found.complete else found.missing
    session = ctx.sessions.last(account.channel, account.id)
    state = await usecases.state(ctx.importing, account, found, session.refused_import if session else "")
    return ImportView(**kept, state=state, chunks_total=found.chunks_total, missing=missing)


def _digest(header: str) -> str:
    """Return the SHA-256 in hex. Raises Invalid."""
    found = _SHA256.search(header)
    try:
        raw = base64.b64decode(found[1], validate=True) if found else b""
    except binascii.Error:
        raw = b""
    if len(raw) != 32:
        raise Invalid({"Content-Digest": "must be sha-256=:<base64 of the body's SHA-256>:"})
    return raw.hex()
