"""The service's background work, each loop by the name that health shows."""

from collections.abc import Awaitable, Callable

from accounts.context import Context
from accounts.imports import tidying
from accounts.operators.usecases import first_admin

SESSIONS_SECONDS = 15.0
TIDY_SECONDS = 600.0


async def prepare(ctx: Context) -> None:
    """Create indexes and the first administrator. Raises Unavailable while the store is away."""
    await ctx.store.prepare()
    await ctx.logs.prepare()
    await ctx.operators.prepare()
    await ctx.importing.store.prepare()
    await first_admin(ctx.operators, ctx.settings)


def loops(ctx: Context) -> list[Callable[[], Awaitable[None]]]:
    """Return the loops."""
    settings = ctx.settings

    async def project() -> None:
        await ctx.projection.run(settings.projection_seconds)

    async def project_everything() -> None:
        await ctx.projection.run_full(settings.reprojection_seconds)

    async def relay() -> None:
        await ctx.relay.run(settings.projection_seconds)

    async def delete() -> None:
        await ctx.deletions.run(settings.deletion_seconds)

    async def keep_sessions() -> None:
        await ctx.sessions.keep(ctx.store, SESSIONS_SECONDS)

    async def tidy_imports() -> None:
        await tidying.run(ctx.importing, TIDY_SECONDS)

    return [project, project_everything, relay, delete, ctx.sessions.watch, keep_sessions, tidy_imports]
