"""What a late lane leaves in the ledger of a batch that was purged: commands of an account that was off for long."""

from collections.abc import Iterable
from datetime import timedelta

from contracts.inbox import Cancelled, Outcome
from servicekit.clock import utcnow

from campaigns.context import Context


async def purge_again(ctx: Context, outcomes: Iterable[Outcome]) -> None:
    """Have the batches purged once more whose commands a lane has only now found expired. Safe to repeat."""
    late = sorted({o.batch for o in outcomes if isinstance(o, Cancelled) and o.reason == "expired"})
    if late:
        purge_at = utcnow() + timedelta(seconds=ctx.settings.ledger_keep_seconds)
        await ctx.db["batches"].update_many({"_id": {"$in": late}, "done": True}, {"$set": {"purge_at": purge_at}})
