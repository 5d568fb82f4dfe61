"""HTTP → use case: accounts."""

from collections.abc import AsyncIterator
from typing import Annotated, Literal

from contracts.channels import Category, Channel
from contracts.state import SessionStatus
from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse
from servicekit.errors import Invalid
from servicekit.pagination import Page, decode_cursor, encode_cursor
from servicekit.versions import version_of

from accounts import deleting, export, ports, usecases
from accounts.context import Context, Ctx, Operator, Viewer, Writing
from accounts.domain import Account, Dot
from accounts.forms import AccountPatch, NewAccount, WorkerForm
from accounts.http import Cursor, IdempotencyKey, IfMatch, Limit, etag, problems
from accounts.usecases import Changes
from accounts.views import AccountView, account_view

router = APIRouter(prefix="/v1/accounts", tags=["accounts"])
CONFIRM_SECONDS = 2.0
"""So long an answer waits for the channel's word that a worker is off."""
StatusFilter = Literal[
    "ready", "needs_attention", "off", "inactive", "deleting", "connecting", "awaiting_qr", "awaiting_code",
    "awaiting_password", "awaiting_person", "degraded", "logged_out", "failed", "deleted",
]  # fmt: skip  # every Dot and SessionStatus: a test compares them


def _query(
    channel: Annotated[list[Channel] | None, Query(description="May be repeated")] = None,
    category: Category | None = None,
    status: Annotated[StatusFilter | None, Query(description="The dot, or an exact state of login")] = None,
    active: bool | None = None,
    q: Annotated[
        str, Query(max_length=200, description="Text in name, notes, address, phone number or user name")
    ] = "",
) -> ports.Query:
    narrow: dict[str, object] = {}
    if status in {"inactive", "deleting"}:
        narrow["status"] = status
    elif status in set(Dot):
        narrow["dot"] = Dot(str(status))
    elif status is not None:
        narrow["session"] = SessionStatus(str(status))
    channels = None
    if channel or category:
        channels = [c for c in Channel if (not channel or c in channel) and category in (None, c.category)]
    return ports.Query(limit=0, channels=channels, active=active, text=q, **narrow)  # type: ignore[arg-type]


Narrow = Annotated[ports.Query, Depends(_query)]


@router.post(
    "",
    status_code=201,
    summary="Create an account",
    responses={200: {"model": AccountView, "description": "Created before with this key"}, **problems(409, 413)},
)
async def create(
    who: Operator, ctx: Writing, form: NewAccount, response: Response, idempotency_key: IdempotencyKey = None
) -> AccountView:
    """Store the account; its channel's service then logs in. 200 where the Idempotency-Key created it before."""
    account, is_new = await usecases.create(ctx.editing, form.draft(), by=who.subject, key=idempotency_key)
    if not is_new:
        response.status_code = 200
    return await _changed(ctx, account, response)


@router.get("", summary="List accounts, the newest first", responses=problems())
async def list_accounts(
    _: Viewer, ctx: Ctx, narrow: Narrow, limit: Limit = 50, cursor: Cursor = None
) -> Page[AccountView]:
    """Return a page of the grid."""
    query = ports.Query(**{**vars(narrow), "limit": limit + 1, "after": _after(cursor)})
    found = await ctx.store.page(query)
    switch = await ctx.switch.get()
    items = [account_view(ctx, account, worker_for_all=switch.worker) for account in found[:limit]]
    return Page(items=items, next_cursor=encode_cursor(found[limit - 1].order) if len(found) > limit else None)


@router.get("/export.csv", summary="Download the grid as CSV", responses=problems(), response_class=StreamingResponse)
async def export_csv(_: Viewer, ctx: Ctx, narrow: Narrow) -> StreamingResponse:
    """Return every account that the filters let through; never a credential."""
    switch = await ctx.switch.get()

    async def rows() -> AsyncIterator[str]:
        yield export.header()
        async for account in export.pages(ctx.store, narrow):
            yield export.row(account_view(ctx, account, worker_for_all=switch.worker))

    headers = {"Content-Disposition": 'attachment; filename="accounts.csv"'}
    return StreamingResponse(rows(), media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/{account_id}", summary="Read an account", responses=problems(404))
async def read(_: Viewer, ctx: Ctx, account_id: str, response: Response) -> AccountView:
    """Return an account; the ETag is its version."""
    return await _shown(ctx, await usecases.get(ctx.store, account_id), response)


@router.patch("/{account_id}", summary="Edit an account", responses=problems(404, 409, 412, 413, 428))
async def edit(
    _: Operator, ctx: Writing, account_id: str, form: AccountPatch, response: Response, if_match: IfMatch = None
) -> AccountView:
    """Change what is named. New credentials or settings log in again, a new name does not."""
    version = version_of(if_match, form.version)
    account = await usecases.edit(ctx.editing, account_id, form.changes(), version)
    return await _changed(ctx, account, response)


@router.post("/{account_id}/activate", summary="Activate", responses=problems(404, 409))
async def activate(_: Operator, ctx: Writing, account_id: str, response: Response) -> AccountView:
    """Let the channel log in."""
    account = await usecases.edit(ctx.editing, account_id, Changes(active=True), None)
    return await _changed(ctx, account, response)


@router.post("/{account_id}/deactivate", summary="Deactivate", responses=problems(404, 409))
async def deactivate(_: Operator, ctx: Writing, account_id: str, response: Response) -> AccountView:
    """Unload the account: its session is closed, its queued messages wait."""
    account = await usecases.edit(ctx.editing, account_id, Changes(active=False), None)
    return await _changed(ctx, account, response)


@router.put("/{account_id}/worker", summary="Worker on or off", responses=problems(404, 409))
async def worker(_: Operator, ctx: Writing, account_id: str, form: WorkerForm, response: Response) -> AccountView:
    """Off: the message being sent finishes, nothing more leaves. On continues where it stopped.

    The answer to off comes once the channel obeys; where it has not confirmed after 2 s, with `session.worker` stopping.
    """
    account = await usecases.edit(ctx.editing, account_id, Changes(worker=form.on), None)
    await ctx.announce(account.id)
    if not form.on:
        await ctx.sessions.obeys(account.channel, account.id, account.version, CONFIRM_SECONDS)
    return await _shown(ctx, account, response)


@router.delete(
    "/{account_id}",
    status_code=202,
    summary="Delete an account",
    response_class=Response,
    responses={204: {"description": "It is deleted already"}, **problems(404)},
)
async def delete(
    _: Operator,
    ctx: Writing,
    account_id: str,
    move_to: Annotated[
        str | None, Query(max_length=64, description="The account that takes its pending messages")
    ] = None,
) -> Response:
    """Begin the deletion: log out, purge credentials and session, end what was queued. 204 where it is done already."""
    account = await ctx.store.get(account_id)
    has_session = account is not None and await ctx.sessions.fetch(account.channel, account.id) is not None
    begun = await deleting.delete(ctx.store, account_id, move_to=move_to, has_session=has_session)
    if begun is None:
        return Response(status_code=204)
    await ctx.announce(begun.id)
    ctx.deletions.wake.set()
    return Response(status_code=202)


async def _shown(ctx: Context, account: Account, response: Response) -> AccountView:
    etag(response, account.version)
    return account_view(ctx, account, worker_for_all=(await ctx.switch.get()).worker)


async def _changed(ctx: Context, account: Account, response: Response) -> AccountView:
    await ctx.announce(account.id)
    return await _shown(ctx, account, response)


def _after(cursor: str | None) -> str | None:
    after = decode_cursor(cursor)
    if after is not None and not isinstance(after, str):
        raise Invalid({"cursor": "is not one of ours"})
    return after
