"""What is done with single rows: retry, cancel, a reply's and a bounce's consequences."""

from collections.abc import Sequence
from datetime import datetime

from contracts.commands import OURS
from contracts.inbox import Bounced
from servicekit.clock import utcnow
from servicekit.errors import Conflict, Invalid, NotFound

from campaigns.campaign.store import collection, move, wake
from campaigns.contacts import usecases as contacts
from campaigns.contacts.domain import addresses_on
from campaigns.context import Context
from campaigns.dispatch.cancelling import cancel_queued
from campaigns.outbox import counts
from campaigns.outbox.rows import EPOCH, ROWS, SLICE_ROWS, Row
from campaigns.suppression.usecases import suppress

DIRECT = "direct-"
_ASKED_AGAIN = ("failed", "cancelled", "unknown")


async def get(ctx: Context, row_id: str) -> Row:
    """Return a row. Raises NotFound."""
    found = await ctx.db[ROWS].find_one({"_id": row_id})
    if found is None:
        raise NotFound(f"there is no message {row_id}")
    return found


async def retry(ctx: Context, row_id: str, *, accept_second_copy: bool = False) -> Row:
    """Ask for a message again that failed, was cancelled, or (accepting a second copy) is unknown.

    Raises Conflict for any other state, Invalid where a second copy must be accepted.
    """
    row = await get(ctx, row_id)
    if row["state"] in ("pending", "queued") and row["wanted"]:
        await _pending_again(ctx, row)  # the first call may have died before it
        return row
    if row["state"] == "unknown" and not accept_second_copy:
        raise Invalid({"accept_second_copy": "the message may have gone out: say true to risk a second copy"})
    if row["state"] not in _ASKED_AGAIN:
        raise Conflict(f"a message that is {row['state']} cannot be sent again")
    if row.get("source", OURS) != OURS:
        raise Conflict("another program sent this message: only that program can send it again")
    campaign = await collection(ctx).find_one({"_id": row["campaign"]}, {"status": 1})
    if campaign is None or campaign["status"] == "cancelled":
        raise Conflict("its campaign was cancelled")
    moved = await ctx.db[ROWS].update_one(
        {"_id": row_id, "state": row["state"], "wanted": row["wanted"]}, {"$set": again(), "$inc": {"wanted": 1}}
    )
    if moved.modified_count:
        await _pending_again(ctx, row)
    return await get(ctx, row_id)


def again() -> dict[str, object]:
    """Return what a row sets when a person asks for it again; `wanted` rises by one beside it."""
    now = utcnow()
    return {"state": "pending", "not_before": EPOCH, "tries": 0, "reason": "", "detail": "", "updated_at": now}


async def _pending_again(ctx: Context, row: Row) -> None:
    await counts.touch(ctx, [row["slice"]])
    await move(ctx, row["campaign"], ("done",), "processing", finished_at=None)
    await wake(ctx, row["campaign"], account=row["account"], slice_no=row["number"] // SLICE_ROWS)
    await ctx.hub.publish("row", [row["_id"]])


async def cancel(ctx: Context, row_id: str, reason: str = "cancelled") -> Row:
    """Cancel a message that has not gone out. Raises Conflict for one that has ended.

    One that is being sent right now ends as the platform answers: it may still be `sent`.
    """
    row = await get(ctx, row_id)
    if row["state"] not in ("pending", "queued"):
        raise Conflict(f"a message that is {row['state']} cannot be cancelled")
    await cancel_rows(ctx, [row], reason)
    return await get(ctx, row_id)


async def cancel_rows(ctx: Context, rows: Sequence[Row], reason: str) -> None:
    """Cancel rows that are pending (moved here) or queued (by the ledger)."""
    change = {"state": "cancelled", "reason": reason, "updated_at": utcnow()}
    for row in (r for r in rows if r["state"] == "pending"):
        done = await ctx.db[ROWS].update_one({"_id": row["_id"], "state": "pending"}, {"$set": change})
        if not done.matched_count:  # the dispatcher was faster
            fresh = await get(ctx, row["_id"])
            rows = [*rows, *([fresh] if fresh["state"] == "queued" else [])]
    await counts.touch(ctx, [row["slice"] for row in rows])
    await cancel_queued(ctx, [r for r in rows if r["state"] == "queued"], reason)
    await ctx.hub.publish("row", [row["_id"] for row in rows])


async def on_reply(ctx: Context, row_id: str, at: datetime) -> None:
    """Mark a row answered, and cancel what else that recipient would get of its campaign (stop on reply)."""
    row = await ctx.db[ROWS].find_one({"_id": row_id})
    if row is None:
        return
    await ctx.db[ROWS].update_one({"_id": row_id, "answered_at": None}, {"$set": {"answered_at": at}})
    await counts.touch(ctx, [row["slice"]])
    if row["kind"] == "campaign":
        await cancel_rows(ctx, await _others(ctx, row), "replied")
    await ctx.hub.publish("row", [row_id])


async def _others(ctx: Context, row: Row) -> list[Row]:
    """Return the waiting rows of the same campaign to the same person, at whichever of their addresses."""
    person = await contacts.require(ctx, row["contact"]) or {}
    who = {row["key"], *(address.casefold() for address in addresses_on(person, row["channel"]))}
    where = {"key": {"$in": sorted(who)}, "campaign": row["campaign"], "state": {"$in": ["pending", "queued"]}}
    return await ctx.db[ROWS].find_list(where, limit=100)


async def on_bounce(ctx: Context, bounced: Bounced) -> None:
    """Note that a sent message came back; a hard bounce and a complaint put the address on the suppression list.

    Anybody can write a report, and name anybody in it: one that leads to no row of the account silences nobody, and one
    that does silences only whom that row was sent to.
    """
    row = await ctx.db[ROWS].find_one({"_id": bounced.row, "account": bounced.account_id}) if bounced.row else None
    if row is None:
        return
    fact = bounced.model_dump(include={"kind", "hard", "status", "diagnostic", "at"})
    await ctx.db[ROWS].update_one({"_id": row["_id"], "bounced": None}, {"$set": {"bounced": fact}})
    await counts.touch(ctx, [row["slice"]])
    await ctx.hub.publish("row", [row["_id"]])
    if bounced.hard or bounced.kind == "complaint":
        reason = "complained" if bounced.kind == "complaint" else "bounced"
        try:
            await suppress(ctx, bounced.channel, row["key"], reason, "bounce", campaign=row["campaign"])
        except Invalid as error:  # a report may name anything
            ctx.log.warning("a bounce names no address", row=bounced.row, error=str(error)[:200])


async def tell_conversations(ctx: Context, ids: Sequence[str]) -> None:
    """Tell the inbox what became of those of these rows that are replies."""
    if not ids:
        return
    rows = await ctx.db[ROWS].find_list({"_id": {"$in": list(ids)}, "kind": "reply"}, limit=len(ids))
    if rows:
        from campaigns.inbox.usecases import reply_state  # noqa: PLC0415  # the inbox calls the outbox too

        await reply_state(ctx, [(row["_id"], row["state"], row["reason"]) for row in rows])
