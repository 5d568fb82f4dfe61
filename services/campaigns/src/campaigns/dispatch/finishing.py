"""The end of a campaign: every row has its own, counted once more from the start."""

from contracts import subjects
from contracts.events import CampaignFinished
from contracts.ids import digest
from servicekit.clock import utcnow
from servicekit.mongo import Document

from campaigns import relay
from campaigns.campaign.store import CAMPAIGNS, collection
from campaigns.context import Context
from campaigns.dispatch.lease import Lease
from campaigns.outbox import counts
from campaigns.outbox.rows import SLICE_ROWS, slice_of

relay.register(CAMPAIGNS)


async def finish(ctx: Context, lease: Lease) -> bool:
    """Finish the campaign if nothing is left of it; the counts of every slice are taken again before that is believed."""
    campaign = lease.campaign
    if campaign["open"] or (campaign.get("expansion") or {}).get("phase") != "done":
        return False
    if _left(await counts.of_campaign(ctx, lease.id)):
        return False
    found = await _count_all(ctx, lease)
    if _left(found):
        lease.low.clear()
        await lease.write({"$set": {"low": {}}})  # the hints were wrong: the next pass begins at the start
        return False
    return await _close(ctx, lease, found)


def _left(found: dict[str, int]) -> bool:
    return bool(found.get("pending") or found.get("queued"))


async def _count_all(ctx: Context, lease: Lease) -> dict[str, int]:
    """Return what was counted now: a slice that changed meanwhile keeps its older counts, which may know of nothing."""
    found: list[Document] = []
    for account, numbers in lease.campaign["numbers"].items():
        for number in range(0, int(numbers), SLICE_ROWS):
            found.append({"counts": await counts.recount(ctx, slice_of(lease.id, account, number))})
            await lease.keep()
    await lease.write({})
    return counts.total(found)


async def _close(ctx: Context, lease: Lease, found: dict[str, int]) -> bool:
    now = utcnow()
    message = CampaignFinished(campaign_id=lease.id, counts=found, at=now)
    subject = subjects.domain("campaigns", "campaign", "finished")
    stored = relay.pushed(
        relay.event(subject, message, digest("finished", lease.id, lease.campaign["touched"])), now=now
    )
    done = await collection(ctx).update_one(
        {"_id": lease.id, "epoch": lease.epoch, "status": "processing", "touched": lease.campaign["touched"]},
        {
            "$set": {**stored["$set"], "status": "done", "finished_at": now, "updated_at": now, "counts": found},
            "$push": stored["$push"],
            "$inc": {"version": 1},
        },
    )
    if done.modified_count:
        await ctx.hub.publish("campaign", [lease.id])
    return bool(done.modified_count)
