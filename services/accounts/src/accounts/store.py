"""Accounts and tombstones in MongoDB."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from servicekit.mongo import ASCENDING, DESCENDING, Collection, Database, DuplicateKey, IndexModel, ensure_indexes

from accounts.domain import Account, Dot, LastSession, PendingEvent, Tombstone
from accounts.ports import Behind, Query

_TIMES = ("created_at", "updated_at", "deleting_since")
_DOTS: Mapping[Dot, Mapping[str, Any]] = {
    Dot.READY: {"status": "active", "session.status": "ready", "session.fresh": True},
    Dot.NEEDS_ATTENTION: {
        "status": "active",
        "$or": [{"session.status": {"$ne": "ready"}}, {"session.fresh": {"$ne": True}}],
    },
    Dot.OFF: {"status": {"$in": ["inactive", "deleting"]}},
}


class MongoAccounts:
    """The storage that `accounts.ports.AccountStore` asks for."""

    def __init__(self, db: Database) -> None:
        """Use the collections `accounts` and `account_tombstones`."""
        self._accounts: Collection = db["accounts"]
        self._tombstones: Collection = db["account_tombstones"]

    async def prepare(self) -> None:
        """Create the indexes."""
        await ensure_indexes(
            self._accounts,
            [
                IndexModel([("order", ASCENDING)], name="order", unique=True),
                IndexModel([("behind", ASCENDING)], name="behind"),
                IndexModel([("status", ASCENDING)], name="status"),
                IndexModel([("unsent", ASCENDING)], name="unsent"),
            ],
        )
        await ensure_indexes(self._tombstones, [IndexModel([("unsent", ASCENDING)], name="unsent")])

    async def insert(self, account: Account, events: Sequence[PendingEvent]) -> bool:
        """Insert a new account with its events; return False where the id is taken."""
        try:
            await self._accounts.insert_one({**_document(account), **_events(events)})
        except DuplicateKey:
            return False
        return True

    async def get(self, account_id: str) -> Account | None:
        """Return an account."""
        found = await self._accounts.find_one({"_id": account_id})
        return _account(found) if found else None

    async def page(self, query: Query) -> list[Account]:
        """Return at most `query.limit` accounts older than `query.after`, newest first."""
        found = await self._accounts.find_list(_filter(query), sort=[("order", DESCENDING)], limit=query.limit)
        return [_account(one) for one in found]

    async def replace(self, before: Account, after: Account, events: Sequence[PendingEvent]) -> bool:
        """Write an edit if the account still is at *before*'s version; what its channel reports is not touched."""
        document = _document(after)
        for kept in ("_id", "session", "projected_version", "order", "created_at"):
            del document[kept]
        update: dict[str, Any] = {
            "$set": {**document, "unsent": True},
            "$push": {"pending_events": {"$each": _dump(events)}},
        }
        written = await self._accounts.update_one({"_id": before.id, "version": before.version}, update)
        return written.matched_count == 1

    async def behind(self, limit: int) -> list[Account]:
        """Return accounts whose desired state has not been projected yet."""
        return [_account(one) for one in await self._accounts.find_list({"behind": True}, limit=limit)]

    async def mark_projected(self, account_id: str, version: int) -> None:
        """Note that *version* is projected; an edit that came in between stays behind."""
        at_version = {"_id": account_id, "version": version}
        await self._accounts.update_one(at_version, {"$set": {"projected_version": version, "behind": False}})

    async def note_session(self, account_id: str, session: LastSession) -> bool:
        """Keep what the channel reported, unless something later is known already; return whether it was news."""
        known = {"_id": account_id, "$or": [{"session": None}, {"session.at": {"$lte": session.at}}]}
        value = {**session.model_dump(mode="json"), "at": session.at}
        return (await self._accounts.update_one(known, {"$set": {"session": value}})).matched_count == 1

    async def note_fresh(self, account_id: str, *, fresh: bool) -> bool:
        """Keep whether the session answered lately; return whether it was news."""
        known = {"_id": account_id, "session.fresh": not fresh}
        return (await self._accounts.update_one(known, {"$set": {"session.fresh": fresh}})).matched_count == 1

    async def sessions(self) -> dict[str, LastSession | None]:
        """Return what is kept of every account's session."""
        return {
            str(one["_id"]): LastSession.model_validate(one["session"]) if one.get("session") else None
            async for one in self._accounts.find({}, {"session": 1})
        }

    async def unsent(self, limit: int) -> list[Behind]:
        """Return events to relay, each document's in order."""
        found: list[Behind] = []
        for collection in (self._accounts, self._tombstones):
            for one in await collection.find_list({"unsent": True}, {"pending_events": 1}, limit=limit):
                events = [PendingEvent.model_validate(event) for event in one.get("pending_events", [])]
                found.append(Behind(collection.name, one["_id"], events))
        return found

    async def drop_event(self, place: str, account_id: str, event_id: str) -> None:
        """Forget an event the bus has acknowledged."""
        collection = self._accounts if place == self._accounts.name else self._tombstones
        await collection.update_one({"_id": account_id}, {"$pull": {"pending_events": {"id": event_id}}})
        await collection.update_one({"_id": account_id, "pending_events": []}, {"$set": {"unsent": False}})

    async def deleting(self, limit: int) -> list[Account]:
        """Return accounts whose deletion is not finished."""
        return [_account(one) for one in await self._accounts.find_list({"status": "deleting"}, limit=limit)]

    async def bury(self, tombstone: Tombstone, events: Sequence[PendingEvent]) -> None:
        """Write the tombstone with its events; the first one stays."""
        document = {**tombstone.model_dump(mode="json"), "deleted_at": tombstone.deleted_at, **_events(events)}
        del document["id"]
        await self._tombstones.update_one({"_id": tombstone.id}, {"$setOnInsert": document}, upsert=True)

    async def tombstone(self, account_id: str) -> Tombstone | None:
        """Return what remains of a deleted account."""
        found = await self._tombstones.find_one({"_id": account_id})
        return Tombstone(id=account_id, **{k: found[k] for k in ("channel", "name", "deleted_at")}) if found else None

    async def remove(self, account_id: str) -> None:
        """Delete the document, whose tombstone is written."""
        await self._accounts.delete_one({"_id": account_id, "status": "deleting"})

    async def imported_objects(self) -> set[str]:
        """Return the objects of imported sessions that accounts name."""
        found = self._accounts.find({"session_import": {"$ne": None}}, {"session_import": 1})
        return {str(one["session_import"]["object"]) async for one in found if one.get("session_import")}

    async def existing(self, account_ids: Sequence[str]) -> set[str]:
        """Return which of the accounts exist."""
        found = self._accounts.find({"_id": {"$in": list(account_ids)}}, {"_id": 1})
        return {str(one["_id"]) async for one in found}


def _document(account: Account) -> dict[str, Any]:
    document = account.model_dump(mode="json")
    document["_id"] = document.pop("id")
    for name in _TIMES:
        document[name] = getattr(account, name)
    if account.session is not None:
        document["session"]["at"] = account.session.at
    document["behind"] = account.projected_version < account.version
    document["text"] = searchable(account)
    return document


def _account(document: Mapping[str, Any]) -> Account:
    return Account.model_validate({**document, "id": document["_id"]})


def _dump(events: Sequence[PendingEvent]) -> list[dict[str, Any]]:
    return [event.model_dump(mode="json") for event in events]


def _events(events: Sequence[PendingEvent]) -> dict[str, Any]:
    return {"pending_events": _dump(events), "unsent": bool(events)}


def searchable(account: Account) -> str:
    """Return the text that a search looks at: name, notes, and who the account is on its platform."""
    smtp = account.settings.get("smtp") or {}
    identity = [
        smtp.get("from_address"),
        smtp.get("username"),
        *(account.settings.get(n) for n in ("username", "client_id")),
    ]
    return "\n".join([account.name, account.notes, account.id, *(str(i) for i in identity if i)]).casefold()


def _filter(query: Query) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if query.channels is not None:
        found["channel"] = {"$in": [str(c) for c in query.channels]}
    if query.active is not None:
        found["status"] = "active" if query.active else {"$in": ["inactive", "deleting"]}
    if query.after is not None:
        found["order"] = {"$lt": query.after}
    if query.text:
        found["text"] = {"$regex": re.escape(query.text.casefold())}
    narrow = [_DOTS[query.dot]] if query.dot else []
    narrow += [{"session.status": str(query.session), "status": "active"}] if query.session else []
    narrow += [{"status": query.status}] if query.status else []
    return {**found, **({"$and": narrow} if narrow else {})}
