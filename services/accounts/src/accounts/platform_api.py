"""HTTP → what concerns all accounts: channels, the worker switch for all, live changes."""

from contracts.channels import Channel
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from servicekit.errors import NotFound
from servicekit.sse import stream

from accounts.catalog import ChannelView, describe
from accounts.context import Ctx, Operator, Viewer, Writing
from accounts.forms import WorkerForm
from accounts.http import problems

router = APIRouter(prefix="/v1")


class SwitchView(BaseModel):
    """The worker switch for all accounts, those created later included."""

    on: bool
    version: int


@router.get("/channels", tags=["channels"], summary="Channels this deployment is subscribed to", responses=problems())
async def channels(_: Viewer, ctx: Ctx) -> list[ChannelView]:
    """Return each channel with its fields and presets, enough to draw [New Account]."""
    return [describe(channel, ctx.settings.login_urls) for channel in ctx.settings.enabled]


@router.get("/channels/{channel}", tags=["channels"], summary="One channel", responses=problems(404))
async def one_channel(_: Viewer, ctx: Ctx, channel: Channel) -> ChannelView:
    """Return a channel, if this deployment is subscribed to it."""
    if channel not in ctx.settings.enabled:
        raise NotFound(f"This deployment is not subscribed to {channel}: it is not among KURIR_CHANNELS.")
    return describe(channel, ctx.settings.login_urls)


@router.get("/worker", tags=["worker"], summary="The worker switch for all", responses=problems())
async def worker(_: Viewer, ctx: Ctx) -> SwitchView:
    """Return the switch."""
    switch = await ctx.switch.get()
    return SwitchView(on=switch.worker, version=switch.version)


@router.put("/worker", tags=["worker"], summary="Worker on or off for all", responses=problems())
async def turn(_: Operator, ctx: Writing, form: WorkerForm) -> SwitchView:
    """Off: nothing more leaves from any account. On: each account goes by its own switch again."""
    switch = await ctx.switch.turn(on=form.on)
    ctx.projection.wake.set()
    await ctx.hub.publish("worker", [])
    return SwitchView(on=switch.worker, version=switch.version)


@router.get("/events", tags=["events"], summary="Live changes", responses=problems(), response_class=StreamingResponse)
async def events(_: Viewer, ctx: Ctx, request: Request) -> StreamingResponse:
    """Server-sent events: kind (`account`, `session`, `log`, `worker`, `reload`) and account ids; fetch those again.

    A client that comes back with Last-Event-ID misses nothing, or its first event is `reload`.
    """
    return stream(request, ctx.hub)
