"""One stretch of lines into contacts, in a few bulk writes. Doing it again gives the same contacts and the same counts.

Each contact a file touches keeps `import: {id, line, effect}`: a line that is found done was done before a crash, and is
counted by its effect; a later line of the same file with the same address is a duplicate.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from servicekit.errors import Retry
from servicekit.mongo import BulkFailed, UpdateOne

from campaigns.contacts import domain, events, store, usecases
from campaigns.contacts.importing.mapping import Parsed, Problem
from campaigns.context import Context

Document = dict[str, Any]
ATTEMPTS = 6


@dataclass
class Plan:
    """What a stretch comes to: what to write, how to count it, what was wrong."""

    inserts: list[Document] = field(default_factory=list)
    updates: list[UpdateOne] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    tags: set[str] = field(default_factory=set)


async def apply(ctx: Context, work: Document, parsed: list[Parsed]) -> Plan:
    """Write the stretch; return its counts and problems. Raises Retry where others keep changing the same contacts."""
    for _ in range(ATTEMPTS):
        plan = await _plan(ctx, work, parsed)
        if await _write(ctx, plan):
            return plan
    raise Retry(5, "the same contacts are being changed by others")


async def _write(ctx: Context, plan: Plan) -> bool:
    """Return whether all went through; else the plan is made again from what is there now."""
    try:
        if plan.inserts:
            await ctx.db["contacts"].insert_many(plan.inserts)
        if plan.updates:
            done = await ctx.db["contacts"].bulk_write(plan.updates)
            return bool(done.matched_count == len(plan.updates))
    except BulkFailed as error:
        if error.others:
            raise
        return False
    return True


async def _plan(ctx: Context, work: Document, parsed: list[Parsed]) -> Plan:
    plan, seen = Plan(), dict[str, int]()
    fit = [p for p in parsed if not p.rejected]
    owners = await _owners(ctx, fit)
    fresh = sum(not any(k in owners for k in p.keys) for p in fit)
    number = await store.next_numbers(ctx, "contacts", fresh) if fresh else 0
    for line in parsed:
        plan.problems += line.problems
        plan.counts["rows"] += 1
        plan.counts["cleaned"] += any(p.kind == "cleaned" for p in line.problems)
        if line.rejected:
            plan.counts["rejected"] += 1
        elif not _double(plan, line, seen):
            number += _one(plan, work, line, owners, number)
    return plan


async def _owners(ctx: Context, parsed: Iterable[Parsed]) -> dict[str, Document]:
    keys = {key for p in parsed for key in p.keys}
    found = await store.by_keys(ctx, keys) if keys else []
    return {key: contact for contact in found for key in contact["addresses"]}


def _double(plan: Plan, line: Parsed, seen: dict[str, int]) -> bool:
    earlier = min((seen[key] for key in line.keys if key in seen), default=None)
    if earlier is None:
        seen.update(dict.fromkeys(line.keys, line.line))
        return False
    _duplicate(plan, line, earlier)
    return True


def _duplicate(plan: Plan, line: Parsed, earlier: int) -> None:
    plan.counts["duplicates"] += 1
    reason = f"has an address of line {earlier}, which was taken"
    plan.problems.append(Problem(line.line, "", reason, "duplicate", ", ".join(line.keys)))


def _one(plan: Plan, work: Document, line: Parsed, owners: Mapping[str, Document], number: int) -> int:
    """Plan one line; return how many numbers it used."""
    found = {str(owners[key]["_id"]): owners[key] for key in line.keys if key in owners}
    if len(found) > 1:
        whose = "; ".join(f"{key} is of contact {owners[key]['_id']}" for key in line.keys if key in owners)
        plan.problems.append(Problem(line.line, "", f"belongs to two contacts: {whose}"))
        plan.counts["rejected"] += 1
        return 0
    fields = _with_groups(work, line)
    plan.tags |= set(fields.get("tags", []))
    if not found:
        _insert(plan, work, line, fields, number)
        return 1
    _edit(plan, work, line, fields, next(iter(found.values())))
    return 0


def _with_groups(work: Document, line: Parsed) -> Document:
    options = work["options"]
    tags = {*line.fields.get("tags", []), *options["tags"]}  # type: ignore[misc]  # mapping puts a list there
    return {**line.fields, "tags": sorted(tags), "lists": sorted(options["lists"])}


def _stamp(work: Document, line: Parsed, effect: str) -> Document:
    return {"id": work["_id"], "line": line.line, "effect": effect}


def _insert(plan: Plan, work: Document, line: Parsed, fields: Document, number: int) -> None:
    contact_id = store.new_id()
    contact = {**domain.merged({"name": ""}, fields), "import": _stamp(work, line, "inserted")}
    made = store.document(contact, number, contact_id, events.tagged(contact_id, contact["tags"]))
    plan.inserts.append(made)
    plan.counts["inserted"] += 1


def _edit(plan: Plan, work: Document, line: Parsed, fields: Document, contact: Document) -> None:
    earlier = contact.get("import") or {}
    if earlier.get("id") == work["_id"]:
        if earlier["line"] == line.line:
            plan.counts[earlier["effect"]] += 1
        else:
            _duplicate(plan, line, earlier["line"])
        return
    where = {"_id": contact["_id"], "version": contact["version"]}
    if not usecases.changes(contact, fields):
        plan.counts["unchanged"] += 1
        plan.updates.append(UpdateOne(where, {"$set": {"import": _stamp(work, line, "unchanged")}}))
        return
    joined = domain.merged(contact, usecases.joined(contact, fields))
    told = events.tagged(str(contact["_id"]), sorted(set(joined["tags"]) - set(contact["tags"])))
    update = store.edit(joined, told)
    update["$set"]["import"] = _stamp(work, line, "updated")
    plan.counts["updated"] += 1
    plan.updates.append(UpdateOne(where, update))
