"""What the service does by itself: indexes first, then its loops."""

from collections.abc import Awaitable, Callable

from campaigns import relay, upgrade
from campaigns.campaign import store as campaign_store
from campaigns.contacts import groups
from campaigns.contacts import store as contact_store
from campaigns.contacts.importing import runner as imports
from campaigns.contacts.importing import store as import_store
from campaigns.context import Context
from campaigns.dispatch import batch, incarnation, purging, sweeper
from campaigns.dispatch.dispatcher import Dispatcher
from campaigns.inbox import api as inbox
from campaigns.inbox import recovery
from campaigns.media import orphans
from campaigns.media import usecases as media
from campaigns.outbox import counts
from campaigns.outbox import store as outbox_store
from campaigns.suppression import store as suppression_store
from campaigns.suppression import usecases as suppressions

Work = Callable[[], Awaitable[None]]

_INDEXES = (
    outbox_store.prepare, batch.prepare, campaign_store.prepare, contact_store.prepare, import_store.prepare,
    suppression_store.prepare, media.prepare, inbox.prepare, relay.prepare,
)  # fmt: skip
_LOOPS = (
    incarnation.run,
    counts.run, sweeper.run, purging.run, relay.run, imports.run, groups.keep_counts, recovery.run,
    orphans.run, upgrade.run,
)  # fmt: skip


async def prepare(ctx: Context) -> None:
    """Create indexes and project suppressions. Raises Unavailable: tried again."""
    for step in _INDEXES:
        await step(ctx)
    await ctx.bus.wait_connected()
    await suppressions.project_all(ctx)


def loops(ctx: Context) -> list[Work]:
    """Return the background tasks, named after what they do."""
    return [
        *(_named(loop, ctx) for loop in _LOOPS),
        *(watch.run for watch in ctx.accounts.watches),
        Dispatcher(ctx).run,
    ]


def _named(loop: Callable[[Context], Awaitable[None]], ctx: Context) -> Work:
    async def work() -> None:
        await loop(ctx)

    work.__qualname__ = f"{loop.__module__.removeprefix('campaigns.')}.{loop.__name__}"
    return work
