"""Outcomes become states: every write names the batch and the states it may replace (architecture 3.3).

queued < unknown < sent < delivered < read; failed and cancelled end an attempt, cancelled replaces only queued. A write
that matches nothing is normal: it was heard before, or belongs to an earlier attempt.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from contracts.channels import Channel
from contracts.ids import parse_message_id
from contracts.inbox import Cancelled, Failed, Outcome, Sent, Unknown
from contracts.state import LedgerEntry
from servicekit.clock import utcnow
from servicekit.mongo import UpdateMany, UpdateOne

from campaigns.campaign.store import wake
from campaigns.context import Context
from campaigns.outbox import counts
from campaigns.outbox.rows import EPOCH, ROWS, SLICE_ROWS, Row, slice_of
from campaigns.outbox.stretches import stretches

RETURNING = ("expired", "retry", "paused")
"""Reasons of `cancelled` after which the row is pending again."""


class Change(NamedTuple):
    """The states a write may replace, and what it sets; equal changes of a batch are written together."""

    replaces: tuple[str, ...]
    fields: tuple[tuple[str, Any], ...]


def change(outcome: Outcome) -> Change:
    """Return what an outcome does to its row."""
    match outcome:
        case Sent():
            ids = () if _derived(outcome) else (("platform_ids", tuple(outcome.platform_ids)),)
            return Change(("queued", "unknown"), (("state", "sent"), *_why("", ""), *_tries(outcome), *ids))
        case Failed():
            why = _why(outcome.reason, outcome.detail)
            return Change(("queued", "unknown"), (("state", "failed"), *why, *_tries(outcome)))
        case Unknown():
            why = _why(outcome.reason, outcome.detail)
            return Change(("queued",), (("state", "unknown"), *why, *_tries(outcome)))
        case Cancelled():
            return Change(("queued",), _cancelled(outcome))
    raise TypeError(type(outcome).__name__)


def _cancelled(outcome: Cancelled) -> tuple[tuple[str, Any], ...]:
    why, again = _why(outcome.reason, outcome.detail), outcome.reason in RETURNING and outcome.outside is None
    if again:
        return (("state", "pending"), ("not_before", outcome.not_before or EPOCH), *why, *_tries(outcome))
    return (("state", "cancelled"), *why, *_tries(outcome))


def _why(reason: str, detail: str) -> tuple[tuple[str, str], ...]:
    return ("reason", reason), ("detail", detail[:2_000])


def _tries(outcome: Outcome) -> tuple[tuple[str, int], ...]:
    return (("tries", outcome.tries),)


def _derived(sent: Sent) -> bool:
    """Return whether the platform's ids say no more than the row's own: then rows may be settled in ranges."""
    found = [parse_message_id(one) for one in sent.platform_ids]
    return all(one is not None and one[0] == sent.row for one in found)


def writes(outcomes: Iterable[Outcome], now: datetime) -> list[UpdateMany | UpdateOne]:
    """Return the writes for outcomes in any order: ranges where most of a batch shares one, singles for the rest.

    A batch lies in one slice, and the slice is what rows are found by: an index on the batch would slow every write.
    """
    groups: dict[tuple[str, str, Change], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        groups[outcome.batch, _slice(outcome), change(outcome)].append(outcome)
    made: list[UpdateMany | UpdateOne] = []
    for (batch, _, what), members in groups.items():
        fields = {name: list(v) if isinstance(v, tuple) else v for name, v in what.fields}
        fields |= {"updated_at": now} | ({"sent_at": max(m.at for m in members)} if fields["state"] == "sent" else {})
        made.extend(_group(batch, what.replaces, fields, members))
    return made


def _group(
    batch: str, replaces: Sequence[str], fields: dict[str, Any], members: Sequence[Outcome]
) -> Iterable[UpdateMany | UpdateOne]:
    by_number = {m.number: m for m in members}
    ours = len(by_number) == len({m.row for m in members}) and members[0].outside is None
    ranges, singles = stretches(by_number) if ours else ([], [])
    guard = {"batch": batch, "state": {"$in": list(replaces)}}
    for one in ranges:
        yield UpdateMany({"slice": _slice(members[0]), **guard, "number": one.where}, {"$set": fields})
    for member in [by_number[n] for n in singles] if ours else members:
        yield UpdateOne({**guard, "_id": member.row}, {"$set": fields})


async def apply(ctx: Context, outcomes: Sequence[Outcome], numbers: Mapping[str, Row] | None = None) -> None:
    """Write what was heard, note the slices to be counted, and wake the campaigns whose rows are pending again.

    *numbers*: the rows of commands from outside, which know their slice.
    """
    if not outcomes:
        return
    await ctx.db[ROWS].bulk_write(writes(outcomes, utcnow()))
    outside = numbers or {}
    await counts.touch(
        ctx, {outside[o.row]["slice"] if o.row in outside else _slice(o) for o in outcomes if _known(o, outside)}
    )
    for campaign, account, number in sorted({found for o in outcomes if (found := _returning(o))}):
        await wake(ctx, campaign, account=account, slice_no=number)
    await ctx.hub.publish("row", [o.row for o in outcomes])


def _known(outcome: Outcome, outside: Mapping[str, Row]) -> bool:
    return outcome.row in outside or bool(outcome.campaign_id)


def _slice(outcome: Outcome) -> str:
    return slice_of(str(outcome.campaign_id), outcome.account_id, outcome.number)


def _returning(outcome: Outcome) -> tuple[str, str, int] | None:
    if isinstance(outcome, Cancelled) and outcome.reason in RETURNING and outcome.campaign_id:
        return outcome.campaign_id, outcome.account_id, outcome.number // SLICE_ROWS
    return None


def from_ledger(row: Row, entry: LedgerEntry) -> Outcome:
    """Return the outcome that a ledger's entry of an ended attempt stands for. Raises ValueError for any other."""
    common: dict[str, Any] = {
        "account_id": row["account"], "channel": Channel(row["channel"]), "campaign_id": row["campaign"],
        "row": row["_id"], "batch": row["batch"], "k": row["k"], "number": row["number"], "wanted": row["wanted"],
        "tries": max(row["tries"], entry.tries), "at": entry.at,  # a canceller may not have known them
    }  # fmt: skip
    match entry.state:
        case "sent":
            return Sent(**common, platform_ids=entry.platform_ids)
        case "failed":
            return Failed(**common, reason=entry.reason, detail=entry.detail)
        case "unknown":
            return Unknown(**common, reason=entry.reason, detail=entry.detail)
        case "cancelled":
            return Cancelled(**common, reason=entry.reason, detail=entry.detail, not_before=entry.not_before)
    raise ValueError(f"{entry.state} is no end")
