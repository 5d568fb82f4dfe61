"""Operators, service tokens and failed sign-ins in MongoDB."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from servicekit.clock import utcnow
from servicekit.errors import Conflict
from servicekit.mongo import ASCENDING, Collection, Database, DuplicateKey, IndexModel, ensure_indexes

from accounts.operators.domain import Operator, ServiceToken

MOST = 1_000
_OPERATOR_TIMES = ("tokens_since", "created_at")
_TOKEN_TIMES = ("created_at", "expires_at", "revoked_at")


class OperatorStore:
    """Who may sign in."""

    def __init__(self, db: Database) -> None:
        """Use the collections `operators`, `service_tokens` and `sign_in_failures`."""
        self._operators: Collection = db["operators"]
        self._tokens: Collection = db["service_tokens"]
        self._failures: Collection = db["sign_in_failures"]

    async def prepare(self) -> None:
        """Create the indexes."""
        await ensure_indexes(self._operators, [IndexModel([("email", ASCENDING)], name="email", unique=True)])
        await ensure_indexes(self._failures, [IndexModel([("until", ASCENDING)], name="until", expireAfterSeconds=0)])

    async def insert(self, operator: Operator) -> None:
        """Insert. Raises Conflict where the e-mail address is taken."""
        try:
            await self._operators.insert_one(_document(operator, _OPERATOR_TIMES))
        except DuplicateKey as error:
            raise Conflict(f"There is an operator {operator.email} already.", reason="email_taken") from error

    async def by_email(self, email: str) -> Operator | None:
        """Return an operator by normal form of the address."""
        return _operator(await self._operators.find_one({"email": email}))

    async def get(self, operator_id: str) -> Operator | None:
        """Return an operator."""
        return _operator(await self._operators.find_one({"_id": operator_id}))

    async def all(self) -> list[Operator]:
        """Return every operator, by address."""
        found = await self._operators.find_list({}, sort=[("email", ASCENDING)], limit=MOST)
        return [Operator.model_validate({**one, "id": one["_id"]}) for one in found]

    async def update(self, operator_id: str, changes: Mapping[str, Any]) -> Operator | None:
        """Set fields and return the operator."""
        plain = {name: str(v) if name == "role" else v for name, v in changes.items()}
        return _operator(await self._operators.find_one_and_update({"_id": operator_id}, {"$set": plain}))

    async def delete(self, operator_id: str) -> None:
        """Delete an operator."""
        await self._operators.delete_one({"_id": operator_id})

    async def add_token(self, token: ServiceToken) -> None:
        """Keep what a service token is (not the token)."""
        await self._tokens.insert_one(_document(token, _TOKEN_TIMES))

    async def token(self, token_id: str) -> ServiceToken | None:
        """Return a service token."""
        found = await self._tokens.find_one({"_id": token_id})
        return ServiceToken.model_validate({**found, "id": found["_id"]}) if found else None

    async def tokens(self) -> list[ServiceToken]:
        """Return every service token."""
        found = await self._tokens.find_list({}, sort=[("created_at", ASCENDING)], limit=MOST)
        return [ServiceToken.model_validate({**one, "id": one["_id"]}) for one in found]

    async def revoke(self, token_id: str, at: datetime) -> bool:
        """Revoke a token; return whether there is one. The first revocation stays."""
        await self._tokens.update_one({"_id": token_id, "revoked_at": None}, {"$set": {"revoked_at": at}})
        return await self.token(token_id) is not None

    async def count_attempt(self, key: str, window_seconds: int) -> int:
        """Count a sign-in of *key* and return how many there were in its present window."""
        now = utcnow()
        await self._failures.delete_many({"_id": key, "until": {"$lte": now}})
        update = {"$inc": {"n": 1}, "$setOnInsert": {"until": now + timedelta(seconds=window_seconds)}}
        try:
            found = await self._failures.find_one_and_update({"_id": key}, update, upsert=True)
        except DuplicateKey:  # two began the window at once
            found = await self._failures.find_one_and_update({"_id": key}, {"$inc": {"n": 1}})
        return int(found["n"]) if found else 1

    async def uncount_attempt(self, key: str) -> None:
        """Take back a sign-in that was good."""
        await self._failures.update_one({"_id": key, "n": {"$gt": 0}}, {"$inc": {"n": -1}})

    async def forget_failures(self, key: str) -> None:
        """Begin anew after a good sign-in."""
        await self._failures.delete_many({"_id": key})


def _document(model: Operator | ServiceToken, times: tuple[str, ...]) -> dict[str, Any]:
    document = model.model_dump(mode="json")
    document["_id"] = document.pop("id")
    return {**document, **{name: getattr(model, name) for name in times}}


def _operator(found: Mapping[str, Any] | None) -> Operator | None:
    return Operator.model_validate({**found, "id": found["_id"]}) if found else None
