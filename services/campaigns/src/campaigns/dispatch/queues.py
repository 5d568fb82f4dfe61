"""How full each account's queue is, as the stream itself says."""

import time

from contracts import subjects
from contracts.channels import Channel
from contracts.state import Pace
from servicekit.bus_errors import translated

from campaigns.campaign.store import collection
from campaigns.context import Context
from campaigns.dispatch.lease import Lease
from campaigns.dispatch.window import rest_seconds, room, window
from campaigns.outbox import counts

_SHARES_SECONDS = 1.0
_LENGTHS_SECONDS = 0.1


class Queues:
    """Queue lengths, and shares among campaigns."""

    def __init__(self, ctx: Context) -> None:
        """Nothing is read yet."""
        self._ctx = ctx
        self._shares: dict[str, int] = {}
        self._shares_at = 0.0
        self._lengths: dict[Channel, tuple[float, dict[str, int]]] = {}

    async def length(self, channel: Channel, account: str) -> int:
        """Return how many bulk commands wait for an account, those being sent included."""
        asked, lengths = self._lengths.get(channel, (0.0, {}))
        if time.monotonic() - asked > _LENGTHS_SECONDS:
            lengths = await self._ask(channel)
            self._lengths[channel] = (time.monotonic(), lengths)
        return lengths.get(subjects.send(channel, account, "bulk"), 0)

    def added(self, channel: Channel, account: str, count: int) -> None:
        """Note what was just published, so that a length asked for a moment ago is not taken for the present one."""
        lengths, subject = self._lengths.get(channel, (0.0, {}))[1], subjects.send(channel, account, "bulk")
        lengths[subject] = lengths.get(subject, 0) + count

    async def _ask(self, channel: Channel) -> dict[str, int]:
        pattern = f"cmd.{channel}.*.send.bulk.v1"
        with translated(pattern):
            info = await self._ctx.bus.js.stream_info(subjects.commands_stream(channel), subjects_filter=pattern)
        return dict(info.state.subjects or {})

    async def room(self, lease: Lease, account: str) -> tuple[int, float]:
        """Return how many rows a campaign may add to an account's queue now, and after how many seconds to ask again."""
        channel = Channel(lease.campaign["channel"])
        desired = self._ctx.accounts.desired(channel, account)
        pace = desired.pace if desired else Pace()
        full = window(pace, self._ctx.settings.window_seconds)
        waiting = await self.length(channel, account)
        campaigns = await self._campaigns_of(account)
        own = await self._own(lease.id, account) if campaigns > 1 else waiting
        return room(full, waiting, campaigns, own), rest_seconds(pace, full)

    async def _own(self, campaign: str, account: str) -> int:
        """Return how many rows of a campaign lie in the queue, those included that were added a moment ago."""
        for name in await counts.changed(self._ctx, campaign, account):
            await counts.recount(self._ctx, name)
        return await counts.queued(self._ctx, campaign, account)

    async def _campaigns_of(self, account: str) -> int:
        if time.monotonic() - self._shares_at > _SHARES_SECONDS:
            self._shares = {}
            found = collection(self._ctx).find({"status": "processing"}, {"accounts": 1, "kind": 1})
            async for one in found:
                for name in one["accounts"] if one["kind"] == "campaign" else ():
                    self._shares[name] = self._shares.get(name, 0) + 1
            self._shares_at = time.monotonic()
        return max(1, self._shares.get(account, 1))
