"""What a slice's document says of its rows beside their counts: where they stand in the outbox, and which are rare.

No store here stops reading at `limit`, and one more index on the rows slows every campaign. So a list finds by these
documents which slices hold what is asked for: a thousand times fewer than the rows.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import itemgetter
from typing import NamedTuple

from servicekit.mongo import Document

from campaigns.context import Context
from campaigns.outbox.rows import ROWS

SLICES = "slices"
STRETCH_ROWS = 100
"""So many rows of a slice share a note of when they were made: a date within a campaign is found by it."""
RARE_ROWS = 20
"""Up to so many rows of a slice are noted one by one, per state and fact: they are fetched without reading the slice."""
FIELDS = dict.fromkeys(("state", "seq", "kind", "channel", "created_at", "bounced", "answered_at"), 1) | {"_id": 0}


class Asked(NamedTuple):
    """A list's filter as far as slices know it: any of `states`, all of `facts`."""

    states: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    campaign: str | None = None
    account: str | None = None
    channel: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class Zone(NamedTuple):
    """A slice that may hold what is asked for: read it whole, or (`places` given) fetch just these."""

    slice: str
    high: int
    places: tuple[int, ...] | None
    below: int


async def summary(ctx: Context, name: str) -> Document:
    """Read one slice; return what its document is to say of it."""
    return summed([row async for row in ctx.db[ROWS].find({"slice": name}, FIELDS)])


def summed(rows: Sequence[Document]) -> Document:
    """Return counts, range and rare rows."""
    places: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        for name in _names(row):
            places[name].append(int(row["seq"]))
    counts = {name: len(found) for name, found in places.items() if not name.startswith("kind-")}
    if not rows:
        return {"counts": counts, "low": 0, "high": -1, "rare": {}, "kinds": []}
    seqs, made = [int(row["seq"]) for row in rows], [row["created_at"] for row in rows]
    return {
        "counts": counts, "low": min(seqs), "high": max(seqs), "from": min(made), "to": max(made),
        "kinds": sorted({str(row["kind"]) for row in rows}), "channel": rows[0]["channel"],
        "tops": {name: max(found) for name, found in places.items()}, "made": _made(rows),
        "rare": {name: sorted(found) for name, found in places.items() if len(found) <= RARE_ROWS},
    }  # fmt: skip


def _made(rows: Sequence[Document]) -> list[Document]:
    """Return for each stretch of rows its highest place, and when its oldest row was made."""
    ordered = sorted(rows, key=itemgetter("seq"))
    parts = [ordered[n : n + STRETCH_ROWS] for n in range(0, len(ordered), STRETCH_ROWS)]
    return [{"high": int(part[-1]["seq"]), "from": min(row["created_at"] for row in part)} for part in parts]


def _names(row: Document) -> Iterable[str]:
    yield str(row["state"])
    yield f"kind-{row['kind']}"
    if row.get("bounced"):
        yield "bounced"
    if row.get("answered_at"):
        yield "answered"


async def holding(ctx: Context, asked: Asked, below: int) -> list[Zone]:
    """Return the slices that may hold what is asked for under place *below*, the newest first."""
    names = [*asked.states, *asked.facts]
    fields = dict.fromkeys(("counts", "low", "high", "from", "to", "kinds", "channel", "dirty"), 1)
    fields |= {f"{part}.{name}": 1 for name in names for part in ("rare", "tops")}
    where = {name: value for name in ("campaign", "account") if (value := getattr(asked, name))}
    fields |= {"made": 1} if asked.until else {}
    found = [zone(one, asked, below) async for one in ctx.db[SLICES].find(where, fields)]
    return sorted((one for one in found if one is not None), key=lambda one: one.high, reverse=True)


def zone(stored: Document, asked: Asked, below: int) -> Zone | None:
    """Return what of a slice has to be read, None for nothing. One that changed since it was counted is read whole."""
    name = str(stored["_id"])
    if stored.get("dirty", True) or "high" not in stored:
        return Zone(name, below, None, below)
    if stored["low"] >= below or not _may_hold(stored, asked):
        return None
    rare = stored.get("rare") or {}
    choices = [rare[fact] for fact in asked.facts if fact in rare]
    if asked.states and all(state in rare or not stored["counts"].get(state) for state in asked.states):
        choices.append([seq for state in asked.states for seq in rare.get(state, ())])
    if not choices:
        return Zone(name, min(_highest(stored, asked), below), None, below)
    places = tuple(seq for seq in min(choices, key=len) if seq < below)
    return Zone(name, max(places), places, below) if places else None


def _highest(stored: Document, asked: Asked) -> int:
    """Return a place above which the slice holds nothing of what is asked for."""
    high, tops = int(stored["high"]), stored.get("tops") or {}
    of_states = [int(tops.get(state, high)) for state in asked.states if stored["counts"].get(state)]
    until = asked.until
    of_times = [int(one["high"]) for one in stored.get("made") or () if until and one["from"] < until]
    high = max(of_times) if of_times else high
    return min([high, *(int(tops.get(fact, high)) for fact in asked.facts), *([max(of_states)] if of_states else [])])


def _may_hold(stored: Document, asked: Asked) -> bool:
    counts, kinds = stored["counts"], stored["kinds"]
    if stored["high"] < 0 or (asked.channel and stored["channel"] != asked.channel):
        return False
    if asked.states and not any(counts.get(state) for state in asked.states):
        return False
    for fact in asked.facts:
        if not (fact.removeprefix("kind-") in kinds if fact.startswith("kind-") else counts.get(fact)):
            return False
    return not (asked.since and stored["to"] < asked.since) and not (asked.until and stored["from"] >= asked.until)
