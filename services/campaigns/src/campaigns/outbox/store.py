"""The rows' indexes: each a single field, since one more on this collection slows every campaign."""

from servicekit.mongo import IndexModel, ensure_indexes

from campaigns.context import Context
from campaigns.outbox import counts
from campaigns.outbox.rows import ROWS


async def prepare(ctx: Context) -> None:
    """Create the indexes. By batch nothing is found: a batch lies in one slice."""
    await ensure_indexes(ctx.db[ROWS], [IndexModel(name) for name in ("slice", "seq", "key", "name_key")])
    await counts.prepare(ctx)
