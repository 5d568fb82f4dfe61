"""Imports in the store: what to do, how far it is, which replica does it, and what was wrong with which line."""

from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import timedelta
from typing import Any

from servicekit.clock import utcnow
from servicekit.errors import Invalid, NotFound
from servicekit.mongo import ASCENDING, BulkFailed, IndexModel, ensure_indexes
from servicekit.pagination import Page, decode_cursor, encode_cursor

from campaigns.contacts import store as contacts
from campaigns.contacts.importing.mapping import Problem
from campaigns.context import Context

Document = dict[str, Any]
LEASE_SECONDS = 30.0
SLICE_LINES = 1_000
COUNTS = ("rows", "inserted", "updated", "unchanged", "rejected", "duplicates", "cleaned")


async def prepare(ctx: Context) -> None:
    """Create the indexes."""
    await ensure_indexes(ctx.db["imports"], [IndexModel([(f, ASCENDING)]) for f in ("seq", "status")])
    await ensure_indexes(ctx.db["import_problems"], [IndexModel([("slice", ASCENDING)])])


async def create(ctx: Context, fields: Mapping[str, Any]) -> Document:
    """Store an import, to be taken by any replica."""
    made: Document = {
        "_id": contacts.new_id(), "seq": await contacts.next_numbers(ctx, "imports"), "status": "queued", "line": 0,
        "counts": dict.fromkeys(COUNTS, 0), "slices": [], "tags_used": [], "error": "", "tries": 0, "progress": 0.0,
        "lease": None, "created_at": utcnow(), "finished_at": None, "version": 1, **fields,
    }  # fmt: skip
    await ctx.db["imports"].insert_one(made)
    return made


async def get(ctx: Context, import_id: str) -> Document:
    """Return an import. Raises NotFound."""
    found = await ctx.db["imports"].find_one({"_id": import_id})
    if found is None:
        raise NotFound(f"there is no import {import_id}")
    return found


async def take(ctx: Context, owner: str) -> Document | None:
    """Lease the oldest import that nobody works on; an expired lease means that its holder died."""
    now = utcnow()
    return await ctx.db["imports"].find_one_and_update(
        {"status": {"$in": ["queued", "running"]}, "$or": [{"lease": None}, {"lease.until": {"$lt": now}}]},
        {
            "$set": {"status": "running", "lease": {"owner": owner, "until": now + timedelta(seconds=LEASE_SECONDS)}},
            "$inc": {"tries": 1},
        },
        sort=[("seq", 1)],
    )


async def commit(ctx: Context, work: Document, fields: Mapping[str, Any], *, line: int, slices: list[int]) -> bool:
    """Note that everything up to *line* is done; False where the lease was lost or the import cancelled."""
    now = utcnow()
    lease = {"owner": work["lease"]["owner"], "until": now + timedelta(seconds=LEASE_SECONDS)}
    done = await ctx.db["imports"].update_one(
        {"_id": work["_id"], "status": "running", "lease.owner": lease["owner"], "line": work["line"]},
        {
            "$set": {**fields, "line": line, "lease": lease, "tries": 0},
            "$addToSet": {"slices": {"$each": slices}},
        },
    )
    return bool(done.matched_count)


async def give_back(ctx: Context, work: Document) -> None:
    """Let anybody take the import again at once; that bus or store were away is not its failure."""
    await ctx.db["imports"].update_one(
        {"_id": work["_id"], "status": "running", "lease.owner": work["lease"]["owner"]},
        {"$set": {"lease": None, "tries": 0}},
    )


async def end(ctx: Context, import_id: str, status: str, error: str = "") -> None:
    """Write the end of an import that runs."""
    fields: Document = {"status": status, "error": error[:1000], "lease": None, "finished_at": utcnow()}
    if status == "done":
        fields["progress"] = 1.0
    await ctx.db["imports"].update_one({"_id": import_id, "status": {"$in": ["queued", "running"]}}, {"$set": fields})
    await ctx.hub.publish("import", [import_id])


async def add_problems(ctx: Context, import_id: str, problems: Iterable[Problem]) -> list[int]:
    """Store what was wrong, each under the same id when done again; return the slices that have something."""
    documents: list[Document] = [
        {
            "_id": f"{import_id}.{p.line}.{p.field}.{p.kind}",
            "slice": f"{import_id}.{p.line // SLICE_LINES}",
            "import": import_id,
            "line": p.line, "field": p.field, "kind": p.kind, "reason": p.reason, "value": p.value[:200],
        }
        for p in problems
    ]  # fmt: skip
    if documents:
        try:
            await ctx.db["import_problems"].insert_many(documents)
        except BulkFailed as error:
            if error.others:
                raise
    return sorted({one["line"] // SLICE_LINES for one in documents})


async def problems(ctx: Context, work: Document, *, kind: str, cursor: str | None, limit: int) -> Page[Document]:
    """Return what was wrong, by line: one thousand lines at a time, only those that have something."""
    after = _behind(cursor)
    found: list[Document] = []
    for number in sorted(n for n in work["slices"] if n >= after[0] // SLICE_LINES):
        part = [p async for p in _slice(ctx, work["_id"], number, kind)]
        found += [p for p in part if (p["line"], p["_id"]) > after]
        if len(found) > limit:
            break
    more, items = len(found) > limit, found[:limit]
    return Page(items=items, next_cursor=encode_cursor([items[-1]["line"], items[-1]["_id"]]) if more else None)


def _behind(cursor: str | None) -> tuple[int, str]:
    match decode_cursor(cursor):
        case None:
            return -1, ""
        case [int(line), str(last_id)]:
            return line, last_id
    raise Invalid({"cursor": "is not one of ours"})


async def every_problem(ctx: Context, work: Document) -> AsyncIterator[Document]:
    """Yield all that was wrong, by line, in flat memory."""
    for number in sorted(work["slices"]):
        async for problem in _slice(ctx, work["_id"], number, ""):
            yield problem


async def _slice(ctx: Context, import_id: str, number: int, kind: str) -> AsyncIterator[Document]:
    where = {"slice": f"{import_id}.{number}", **({"kind": kind} if kind else {})}
    found = [p async for p in ctx.db["import_problems"].find(where)]
    for problem in sorted(found, key=lambda p: (p["line"], p["_id"])):
        yield problem


async def delete(ctx: Context, work: Document) -> None:
    """Forget an import that has ended; its contacts stay."""
    for number in work["slices"]:
        await ctx.db["import_problems"].delete_many({"slice": f"{work['_id']}.{number}"})
    await ctx.db["imports"].delete_one({"_id": work["_id"]})
