"""Processing expands the audience into rows, in parts, each safe to do again (architecture 3.3).

Row ids are hashes of campaign and address, so a part done twice inserts nothing twice. Numbers are reserved on the
campaign before the rows that take them are stored: a crash in between leaves a gap, never two rows of one number.
Rows go out while the rest is expanded; so all recipients are looked at for missing variables before the first is stored.
"""

import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from contracts.ids import digest, row_id
from servicekit.clock import utcnow
from servicekit.errors import Permanent
from servicekit.mongo import BulkFailed

from campaigns.campaign import recipients, remembered
from campaigns.campaign.content import Compiled, compiled
from campaigns.campaign.recipients import Part, Recipient
from campaigns.campaign.validation import EVERYBODY
from campaigns.contacts.addresses import PHONE_CHANNELS
from campaigns.context import Context
from campaigns.dispatch.lease import Lease
from campaigns.outbox import counts
from campaigns.outbox.rows import ROWS, STATES, Row, new_row, of_contact, placed, reserve_seq
from campaigns.suppression.usecases import suppressed

BUSY_SECONDS = 2.0
SAMPLE = 50
START = {"phase": "contacts", "cursor": 0, "entries": 0, "rejected": 0, "rejected_sample": [], "missing": 0,
         "missing_sample": []}  # fmt: skip

State = dict[str, Any]


class Straight(Protocol):
    """Stores rows queued already, where their account has room."""

    async def take(self, rows: Sequence[Row]) -> list[Row]:
        """Store what may go at once, and return the rest."""
        ...


async def advance(ctx: Context, lease: Lease, straight: Straight | None = None) -> bool:
    """Go on expanding for some seconds; return whether every row is there.

    Recipients with missing variables, unless they were allowed, pause the campaign with the list of them, before any
    row is stored.
    """
    state = lease.campaign.get("expansion") or _begin(lease)
    until = time.monotonic() + BUSY_SECONDS
    if state["phase"] == "check" and (state := await _look(ctx, lease, state, until))["phase"] == "check":
        return False
    if state["phase"] == "done":
        return True
    async for part in recipients.parts(ctx, lease.campaign, state["phase"], state["cursor"]):
        state = await _take(ctx, lease, part, state, straight)
        if time.monotonic() > until or lease.campaign["status"] != "processing":
            return False
    await _finish(ctx, lease, state)
    return bool(lease.campaign["status"] == "processing")


def _begin(lease: Lease) -> State:
    """Return the state to begin with. *looked*: how far Process has looked at the recipients already."""
    looked = lease.campaign.get("looked") or ["contacts", 0]
    if lease.campaign.get("allow_missing") or looked == EVERYBODY or not compiled(lease.campaign).variables:
        return dict(START)
    return {**START, "phase": "check", "looked": looked}


async def _look(ctx: Context, lease: Lease, state: State, until: float) -> State:
    """Look at the recipients that nobody has looked at; in phase `check` still when there is more, or one lacks something."""
    if not lease.campaign.get("allow_missing"):
        phase, cursor = state["looked"]
        async for part in recipients.parts(ctx, lease.campaign, phase, cursor):
            state = await _looked(ctx, lease, part, state)
            if time.monotonic() > until or lease.campaign["status"] != "processing":
                return state
    if state["missing"] and not lease.campaign.get("allow_missing"):
        await lease.write({"$set": _lacking(state)})
        return state
    await lease.write({"$set": {"expansion": dict(START)}})
    return dict(START)


async def _looked(ctx: Context, lease: Lease, part: Part, state: State) -> State:
    lacking = _missing(compiled(lease.campaign), lease.id, part.members)
    if lacking:
        keys = [_key(one["address"]) for one in lacking]
        blocked = await _blocked(ctx, lease.campaign["channel"], keys, part.members)
        lacking = [one for one, key in zip(lacking, keys, strict=True) if key not in blocked]
    after = {
        **state, "looked": [part.phase, part.cursor], "missing": state["missing"] + len(lacking),
        "missing_sample": [*state["missing_sample"], *lacking][:SAMPLE],
    }  # fmt: skip
    await lease.write({"$set": {"expansion": after}})
    return after


def _lacking(state: State) -> dict[str, Any]:
    """Return what pauses a campaign whose recipients lack variables."""
    sample = {"reason": "missing_variables", "count": state["missing"], "sample": state["missing_sample"]}
    return {"status": "paused", "attention": sample}


async def _finish(ctx: Context, lease: Lease, state: State) -> None:
    rows = await _rows(ctx, lease.id)
    await counts.publish(ctx, lease.id)
    changes: dict[str, Any] = {"expansion": {**state, "phase": "done", "duplicates": max(0, state["entries"] - rows)}}
    if state["missing"] and not lease.campaign.get("allow_missing"):
        changes |= _lacking(state)
    await lease.write({"$set": changes})


async def _rows(ctx: Context, campaign: str) -> int:
    """Count the slices of a campaign that changed, and return how many rows it has in any state."""
    rows = 0
    async for one in ctx.db[counts.SLICES].find({"campaign": campaign}, {"counts": 1, "dirty": 1}):
        found = await counts.recount(ctx, one["_id"]) if one.get("dirty", True) else one["counts"]
        rows += sum(int(found.get(state, 0)) for state in STATES)
    return rows


async def _take(ctx: Context, lease: Lease, part: Part, state: State, straight: Straight | None) -> State:
    """Store the rows of one part, then the cursor behind it."""
    words = compiled(lease.campaign)
    new = await _new_rows(ctx, lease, part.members)
    blocked = await _blocked(ctx, lease.campaign["channel"], [row["key"] for row in new], part.members)
    for row in new:
        if row["key"] in blocked:
            row.update(state="cancelled", reason="suppressed")
    await remembered.recall(ctx, new)
    await _insert(ctx, lease, new, straight)
    missing = _missing(words, lease.id, [m for m in part.members if _key(m.address) not in blocked])
    after = {
        "phase": part.phase, "cursor": part.cursor, "entries": state["entries"] + len(part.members),
        "rejected": state["rejected"] + len(part.problems),
        "rejected_sample": [*state["rejected_sample"], *part.problems][:SAMPLE],
        "missing": state["missing"] + len(missing),
        "missing_sample": [*state["missing_sample"], *missing][:SAMPLE],
    }  # fmt: skip
    await lease.write({"$set": {"expansion": after}})
    return after


def _key(address: str) -> str:
    return address.strip().casefold()


async def _blocked(ctx: Context, channel: str, keys: Sequence[str], members: Sequence[Recipient]) -> set[str]:
    """Return which of these keys may not be written to, suppressed themselves or as a member's phone on the channel."""
    other = other_addresses(channel, members)
    found = await suppressed(ctx, channel, [*keys, *other])
    return {*found, *(_key(address) for key in found & other.keys() for address in other[key])}


def other_addresses(channel: str, members: Sequence[Recipient]) -> dict[str, list[str]]:
    """Return phone → the addresses of those who are written to at another one, on channels that know phones."""
    found: dict[str, list[str]] = {}
    if channel in PHONE_CHANNELS:
        for member in members:
            phone = member.vars.get("phone")
            if phone and phone != member.address:
                found.setdefault(phone, []).append(member.address)
    return found


def _missing(words: Compiled, campaign: str, members: Sequence[Recipient]) -> list[dict[str, Any]]:
    """Report by recipient, not by new row: a part done again after a crash has no new rows, and reports the same."""
    found: list[dict[str, Any]] = []
    for member in members:
        if words.has_all(member.vars):  # nearly all: their row's id is not worked out
            continue
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
    talking = await _talking(ctx, lease, list(by_id.values()))
    now = utcnow()
    return [of_contact(_row(lease, name, m, talking, now), m.contact, m.vars) for name, m in by_id.items()]


def _row(lease: Lease, name: str, member: Recipient, talking: dict[str, str], now: datetime) -> Row:
    campaign = lease.campaign
    return new_row(
        name, campaign=lease.id, account=account_for(campaign["accounts"], member.address, talking),
        channel=campaign["channel"], kind="campaign", to={"address": member.address, "name": member.name or None},
        key=_key(member.address), now=now,
    )  # fmt: skip


def account_for(accounts: Sequence[str], address: str, talking: dict[str, str]) -> str:
    """Return the account that writes to an address: the one it talks to already, else spread evenly by the address."""
    if len(accounts) == 1:
        return accounts[0]
    known = talking.get(_key(address))
    if known in accounts:
        return str(known)
    return accounts[int(digest("account", _key(address))[:8], 16) % len(accounts)]


async def _talking(ctx: Context, lease: Lease, members: Sequence[Recipient]) -> dict[str, str]:
    """Return which of the campaign's accounts each address has a conversation with, maybe under its person's phone."""
    if len(lease.campaign["accounts"]) < 2 or not members:
        return {}
    from campaigns.inbox.usecases import talks_with  # noqa: PLC0415  # the inbox calls the outbox too

    channel = lease.campaign["channel"]
    other = other_addresses(channel, members)
    found = await talks_with(ctx, channel, [*(m.address for m in members), *other])
    under_phone = {_key(address): found[phone] for phone in found.keys() & other.keys() for address in other[phone]}
    return {**under_phone, **found}


async def _insert(ctx: Context, lease: Lease, rows: Sequence[Row], straight: Straight | None) -> None:
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
    await store(ctx, await straight.take(stored) if straight else stored)


async def store(ctx: Context, rows: Sequence[Row]) -> bool:
    """Insert rows and note their slices; return whether all of them are new."""
    if not rows:
        return True
    new = True
    try:
        await ctx.db[ROWS].insert_many(rows)
    except BulkFailed as error:
        if error.others:
            raise
        new = False
    await counts.touch(ctx, {row["slice"] for row in rows})
    return new
