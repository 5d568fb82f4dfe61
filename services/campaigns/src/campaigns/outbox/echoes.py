"""Own messages that a platform reports back: those of our rows are known already."""

from collections.abc import Sequence

from contracts.inbox import Received

from campaigns.context import Context
from campaigns.outbox.again import Later
from campaigns.outbox.rows import ROWS

_FIELDS = {"account": 1, "key": 1, "platform_ids": 1, "state": 1}
_OUT = ("queued", "sent", "delivered", "read")


async def without(ctx: Context, messages: Sequence[Received], later: Later) -> list[Received]:
    """Return the messages that are no echoes of our rows. One that may be, of a row not known to be sent yet, waits."""
    own = [m for m in messages if m.own]
    if not own:
        return list(messages)
    keys = sorted({m.conversation.strip().casefold() for m in own})
    ours: set[tuple[str, str]] = set()
    flying: set[tuple[str, str]] = set()
    async for row in ctx.db[ROWS].find({"key": {"$in": keys}, "state": {"$in": list(_OUT)}}, _FIELDS):
        ours.update((str(row["account"]), one) for one in row.get("platform_ids") or ())
        if row["state"] == "queued":
            flying.add((str(row["account"]), str(row["key"])))
    return [m for m in messages if not m.own or not _is_echo(m, ours, flying, later)]


def _is_echo(message: Received, ours: set[tuple[str, str]], flying: set[tuple[str, str]], later: Later) -> bool:
    """Return whether to leave a message out: it is ours, or it comes again."""
    if (message.account_id, message.platform_id) in ours:
        return True
    return (message.account_id, message.conversation.strip().casefold()) in flying and later(message)
