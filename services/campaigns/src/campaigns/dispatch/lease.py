"""The lease on a campaign: one dispatcher at a time, and what a late one writes is refused by its epoch."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from servicekit.clock import boottime, utcnow
from servicekit.errors import KurirError

from campaigns.campaign.store import Campaign, collection
from campaigns.context import Context
from campaigns.outbox.rows import EPOCH


class LeaseLost(KurirError):  # noqa: N818  # an instruction, like servicekit's errors
    """Another dispatcher has the campaign: stop without a further write."""

    reason = "lease_lost"


@dataclass
class Lease:
    """A held campaign: the document as last read, and the epoch that guards every write to it."""

    ctx: Context
    campaign: Campaign
    epoch: int
    low: dict[str, int] = field(default_factory=dict)
    written: float = field(default_factory=boottime)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def id(self) -> str:
        """Return the campaign's id."""
        return str(self.campaign["_id"])

    async def write(self, update: dict[str, Any], **guard: Any) -> None:
        """Change the campaign as its holder, and renew the lease. Raises LeaseLost."""
        async with self._lock:  # two answers that overtook each other would leave us with the older document
            began = boottime()
            changes = {**update, "$set": {**update.get("$set", {}), "lease_until": _until(self.ctx)}}
            where = {"_id": self.id, "epoch": self.epoch, **guard}
            found = await collection(self.ctx).find_one_and_update(where, changes)
            if found is None:
                raise LeaseLost(f"campaign {self.id}")
            self.written = began
            touched = self.campaign["touched"]  # as of taking: what is touched meanwhile must bring us back
            self.campaign = {**found, "touched": touched}

    async def keep(self) -> None:
        """Renew the lease where a third of it has gone by without a write. Raises LeaseLost."""
        if boottime() - self.written > self.ctx.settings.dispatch_lease_seconds / 3:
            await self.write({})

    async def release(self, due_at: datetime | None) -> None:
        """Give it back, to be looked at again at *due_at* (None: when somebody wakes it), or now if it was touched."""
        low = {f"low.{account}": number for account, number in self.low.items()}
        rest: dict[str, dict[str, Any]] = {"$set": {"lease_until": EPOCH, **low}}
        if due_at is None:
            rest["$unset"] = {"due_at": ""}
        else:
            rest["$set"]["due_at"] = due_at
        where = {"_id": self.id, "epoch": self.epoch}
        done = await collection(self.ctx).update_one({**where, "touched": self.campaign["touched"]}, rest)
        if not done.matched_count:
            await collection(self.ctx).update_one(where, {"$set": {"lease_until": EPOCH, "due_at": utcnow()}})


async def take(ctx: Context, campaign_id: str) -> Lease | None:
    """Take the lease, or return None where somebody holds it."""
    found = await collection(ctx).find_one_and_update(
        {"_id": campaign_id, "lease_until": {"$lt": utcnow()}},
        {"$set": {"lease_until": _until(ctx), "lease_holder": ctx.settings.instance_id}, "$inc": {"epoch": 1}},
    )
    return Lease(ctx, found, int(found["epoch"])) if found else None


def _until(ctx: Context) -> datetime:
    return utcnow() + timedelta(seconds=ctx.settings.dispatch_lease_seconds)
