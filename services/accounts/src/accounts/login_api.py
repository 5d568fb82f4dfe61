"""HTTP → the account's session: its state, login answers, tests of settings, the Logs tab."""

from typing import Annotated, Literal

from contracts.channels import Channel
from fastapi import APIRouter, Query
from servicekit.errors import Invalid
from servicekit.pagination import Page, decode_cursor, encode_cursor

from accounts import login, usecases
from accounts.context import Ctx, Operator, Viewer, Writing
from accounts.forms import AnswerForm, TestForm, opened
from accounts.http import Cursor, Limit, problems
from accounts.logbook import Line
from accounts.views import SessionView, TestResult, session_view

router = APIRouter(prefix="/v1", tags=["login"])


@router.get("/accounts/{account_id}/session", summary="Login state and challenge", responses=problems(404))
async def session(_: Viewer, ctx: Ctx, account_id: str) -> SessionView:
    """Return what the channel says now, straight from the bus."""
    account = await usecases.get(ctx.store, account_id)
    state = await ctx.sessions.fetch(account.channel, account.id)
    fresh = state is not None and ctx.sessions.fresh(state)
    return session_view(account, state, worker_for_all=(await ctx.switch.get()).worker, fresh=fresh)


@router.post(
    "/accounts/{account_id}/challenge/answer",
    status_code=204,
    summary="Answer a login challenge",
    responses=problems(404, 409),
)
async def answer(_: Operator, ctx: Writing, account_id: str, form: AnswerForm) -> None:
    """Hand a code or password, sealed, to whoever holds the session; its refusal comes back with its reason."""
    account = await usecases.get(ctx.store, account_id)
    given = login.Answer(form.challenge_id, form.answer, resend=form.resend)
    await login.answer(ctx.bus, ctx.vault, account, given, ctx.settings.answer_timeout_seconds)


@router.post("/channels/{channel}/test", summary="[Test SMTP]: try unsaved settings", responses=problems(413))
async def try_unsaved(_: Operator, ctx: Writing, channel: Channel, form: TestForm) -> TestResult:
    """Try settings without saving them; `ok` says whether they work, each step what the server said."""
    ctx.editing.rules.require_enabled(channel)
    trial = login.unsaved(channel, form.settings or {}, opened(form.credentials), practice=ctx.settings.practice)
    return await login.test(ctx.bus, ctx.vault, trial, ctx.settings.test_timeout_seconds)


@router.post("/accounts/{account_id}/test", summary="Try an account's settings", responses=problems(404, 409, 413))
async def try_saved(_: Operator, ctx: Writing, account_id: str, form: TestForm | None = None) -> TestResult:
    """Try the saved settings and credentials, or an edit of them before it is saved."""
    account = await usecases.get(ctx.store, account_id)
    given = form or TestForm()
    trial = login.saved(ctx.editing, account, given.settings, opened(given.credentials))
    return await login.test(ctx.bus, ctx.vault, trial, ctx.settings.test_timeout_seconds)


@router.get("/accounts/{account_id}/logs", tags=["logs"], summary="The Logs tab", responses=problems(404))
async def logs(
    _: Viewer,
    ctx: Ctx,
    account_id: str,
    *,
    type: Annotated[Literal["info", "warning", "error"] | None, Query()] = None,  # noqa: A002  # the field's name
    q: Annotated[str, Query(max_length=200, description="Text in the line, any case")] = "",
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[Line]:
    """Return log lines, the newest first."""
    await usecases.get(ctx.store, account_id)
    after = decode_cursor(cursor)
    if after is not None and not (isinstance(after, str) and after.startswith(f"{account_id}/")):
        raise Invalid({"cursor": "is not one of this account's"})
    found = await ctx.logs.page(account_id, after=after, limit=limit + 1, kind=type, text=q)
    more = encode_cursor(found[limit - 1][0]) if len(found) > limit else None
    return Page(items=[line for _, line in found[:limit]], next_cursor=more)
