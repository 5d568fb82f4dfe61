"""Processing expands the audience into rows, in parts, each safe to do again (architecture 3.3).

Row ids are hashes of campaign and address, so a part done twice inserts nothing twice. Numbers are reserved on the
campaign before the rows that take them are stored: a crash in between leaves a gap, never two rows of one number.
"""

import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from contracts.ids import digest, row_id
from servicekit.clock import utcnow
from servicekit.errors import Permanent
from servicekit.mongo import BulkFailed

from campaigns.campaign import recipients, remembered
from campaigns.campaign.content import Compiled, compiled
from campaigns.campaign.recipients import Part, Recipient
from campaigns.context import Context
from campaigns.dispatch.lease import Lease
from campaigns.outbox import counts
from campaigns.outbox.rows import ROWS, Row, new_row, of_contact, placed, reserve_seq
from campaigns.suppression.usecases import suppressed

BUSY_SECONDS = 5.0
SAMPLE = 50
START = {"phase": "contacts", "cursor": 0, "entries": 0, "rejected": 0, "rejected_sample": [], "missing": 0,
         "missing_sample": []}  # fmt: skip


async def advance(ctx: Context, lease: Lease) -> bool:
    """Go on expanding for some seconds; return whether every row is there. Nothing is dispatched before.

    Recipients with missing variables, unless they were allowed, pause the campaign with the list of them.
    """
    state = lease.campaign.get("expansion") or dict(START)
    if state["phase"] == "done":
        return True
    until = time.monotonic() + BUSY_SECONDS
    async for part in recipients.parts(ctx, lease.campaign, state["phase"], state["cursor"]):
        state = await _take(ctx, lease, part, state)
        if time.monotonic() > until or lease.campaign["status"] != "processing":
            return False
    await _finish(ctx, lease, state)
    return bool(lease.campaign["status"] == "processing")


async def _finish(ctx: Context, lease: Lease, state: dict[str, Any]) -> None:
    while await counts.refresh(ctx):
        pass
    found = await counts.publish(ctx, lease.id)
    rows = sum(found.get(name, 0) for name in ("pending", "cancelled", "queued", "sent", "failed", "unknown"))
    done = {**state, "phase": "done", "duplicates": max(0, state["entries"] - rows)}
    changes: dict[str, Any] = {"expansion": done}
    if state["missing"] and not lease.campaign.get("allow_missing"):
        sample = {"reason": "missing_variables", "count": state["missing"], "sample": state["missing_sample"]}
        changes |= {"status": "paused", "attention": sample}
    await lease.write({"$set": changes})


async def _take(ctx: Context, lease: Lease, part: Part, state: dict[str, Any]) -> dict[str, Any]:
    """Store the rows of one part, then the cursor behind it."""
    words = compiled(lease.campaign)
    new = await _new_rows(ctx, lease, part.members)
    blocked = await suppressed(ctx, lease.campaign["channel"], [row["key"] for row in new])
    for row in new:
        if row["key"] in blocked:
            row.update(state="cancelled", reason="suppressed")
    await remembered.recall(ctx, new)
    await _insert(ctx, lease, new)
    missing = _missing(words, lease.id, [m for m in part.members if m.address.strip().casefold() not in blocked])
    after = {
        "phase": part.phase, "cursor": part.cursor, "entries": state["entries"] + len(part.members),
        "rejected": state["rejected"] + len(part.problems),
        "rejected_sample": [*state["rejected_sample"], *part.problems][:SAMPLE],
        "missing": state["missing"] + len(missing),
        "missing_sample": [*state["missing_sample"], *missing][:SAMPLE],
    }  # fmt: skip
    await lease.write({"$set": {"expansion": after}})
    return after


def _missing(words: Compiled, campaign: str, members: Sequence[Recipient]) -> list[dict[str, Any]]:
    """Report by recipient, not by new row: a part done again after a crash has no new rows, and reports the same."""
    found: list[dict[str, Any]] = []
    for member in members:
        try:
            names = words.missing(member.vars, row_id(campaign, member.address))
        except Permanent as error:
            names = [error.detail]
        if names:
            found.append({"address": member.address, "missing": names})
    return found


async def _new_rows(ctx: Context, lease: Lease, members: Sequence[Recipient]) -> list[Row]:
    """Return the rows of those who have none yet, without their places."""
    by_id = {row_id(lease.id, member.address): member for member in members}
    there = [row async for row in ctx.db[ROWS].find({"_id": {"$in": list(by_id)}}, {"slice": 1})]
    await counts.touch(ctx, {str(row["slice"]) for row in there})  # who stored them may have died before that
    for row in there:
        del by_id[str(row["_id"])]
    talking = await _talking(ctx, lease, [m.address for m in by_id.values()])
    now = utcnow()
    return [of_contact(_row(lease, name, m, talking, now), m.contact, m.vars) for name, m in by_id.items()]


def _row(lease: Lease, name: str, member: Recipient, talking: dict[str, str], now: datetime) -> Row:
    campaign = lease.campaign
    return new_row(
        name, campaign=lease.id, account=account_for(campaign["accounts"], member.address, talking),
        channel=campaign["channel"], kind="campaign", to={"address": member.address, "name": member.name or None},
        key=member.address.strip().casefold(), now=now,
    )  # fmt: skip


def account_for(accounts: Sequence[str], address: str, talking: dict[str, str]) -> str:
    """Return the account that writes to an address: the one it talks to already, else spread evenly by the address."""
    known = talking.get(address.strip().casefold())
    if known in accounts:
        return str(known)
    return accounts[int(digest("account", address.strip().casefold())[:8], 16) % len(accounts)]


async def _talking(ctx: Context, lease: Lease, addresses: Sequence[str]) -> dict[str, str]:
    """Return which of the campaign's accounts each address has a conversation with."""
    if len(lease.campaign["accounts"]) < 2 or not addresses:
        return {}
    from campaigns.inbox.usecases import talks_with  # noqa: PLC0415  # the inbox calls the outbox too

    return await talks_with(ctx, lease.campaign["channel"], addresses)


async def _insert(ctx: Context, lease: Lease, rows: Sequence[Row]) -> None:
    if not rows:
        return
    reserved = Counter(row["account"] for row in rows)
    await lease.write({"$inc": {f"numbers.{account}": count for account, count in reserved.items()}})
    number = {account: int(lease.campaign["numbers"][account]) - count for account, count in reserved.items()}
    seq = await reserve_seq(ctx, len(rows))
    stored: list[Row] = []
    for offset, row in enumerate(rows):
        stored.append(placed(row, number[row["account"]], seq + offset))
        number[row["account"]] += 1
    try:
        await ctx.db[ROWS].insert_many(stored)
    except BulkFailed as error:
        if error.others:
            raise
    await counts.touch(ctx, {row["slice"] for row in stored})
