"""Signing in, managing operators, giving and revoking service tokens."""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from contracts.ids import digest
from pydantic import SecretStr
from servicekit.auth import Role, hash_password, issue_token, verify_password
from servicekit.clock import utcnow
from servicekit.errors import Conflict, Invalid, NotFound, Unauthorized
from servicekit.logs import get_logger

from accounts.operators.domain import OPERATOR, TOKEN, Operator, ServiceToken, normal_email
from accounts.operators.store import OperatorStore
from accounts.settings import Settings

_log = get_logger("accounts.operators")


class TooManyAttempts(Exception):  # noqa: N818  # says what happened, like Conflict
    """Too many failed sign-ins; *after_seconds* says when to come again."""

    def __init__(self, after_seconds: int) -> None:
        self.after_seconds = after_seconds
        super().__init__("too many failed sign-ins")


@dataclass(frozen=True)
class Limit:
    """How many failures one key may have."""

    key: str
    most: int


def limits(settings: Settings, email: str, client: str) -> list[Limit]:
    """Return what a sign-in counts against; few per pair, so that a stranger elsewhere cannot lock a person out.

    The client comes first: who is over its limit leaves no further trace, however many addresses it names.
    """
    return [
        Limit(digest("client", client), settings.sign_in_failures_per_client),
        Limit(digest("pair", email, client), settings.sign_in_failures),
        Limit(digest("email", email), settings.sign_in_failures_per_email),
    ]


async def sign_in(
    store: OperatorStore, settings: Settings, email: str, password: SecretStr, client: str
) -> tuple[str, Operator]:
    """Return a token and whose it is. An unknown address takes as long, and is answered, as a wrong password.

    Raises Unauthorized, TooManyAttempts.
    """
    counted = limits(settings, email, client)
    for limit in counted:  # before the password is looked at: guesses sent at once count as well
        if await store.count_attempt(limit.key, settings.sign_in_window_seconds) > limit.most:
            raise TooManyAttempts(settings.sign_in_window_seconds)
    operator = await store.by_email(email)
    good = await verify_password(operator.password_hash if operator else None, password)
    if not good or operator is None or not operator.active:
        raise Unauthorized("E-mail address or password is wrong.", reason="wrong_credentials")
    of_client, of_pair, of_email = counted
    await store.forget_failures(of_pair.key)
    for limit in (of_client, of_email):
        await store.uncount_attempt(limit.key)
    await until_good(operator)
    return issue_token(settings, operator.id, operator.role), operator


async def add_operator(store: OperatorStore, email: str, name: str, role: Role, password: SecretStr) -> Operator:
    """Create an operator. Raises Conflict where the address is taken, Invalid for a role that is no person's."""
    _require_human(role)
    now = utcnow()
    operator = Operator(
        id=OPERATOR + secrets.token_hex(12),
        email=email,
        name=name,
        role=role,
        password_hash=await hash_password(password),
        tokens_since=now.replace(microsecond=0),  # a token's time of issue has whole seconds
        created_at=now,
    )
    await store.insert(operator)
    return operator


async def first_admin(store: OperatorStore, settings: Settings) -> None:
    """Create the administrator that the settings name, unless there is one."""
    password = settings.admin_password
    if not settings.admin_email or not password.get_secret_value():
        return
    if await _admins(store):
        return
    try:
        await add_operator(store, normal_email(settings.admin_email), "Administrator", Role.ADMIN, password)
        _log.info("the first administrator was created", email=settings.admin_email)
    except Conflict:
        _log.info("another replica created the first administrator")


async def edit_operator(store: OperatorStore, operator_id: str, changes: Mapping[str, Any]) -> Operator:
    """Change name, role, active or password of an operator; a new password or switching off ends all sessions.

    Raises NotFound, Invalid, Conflict where nobody would be left to administer.
    """
    operator = await _existing(store, operator_id)
    update = dict(changes)
    if "role" in update:
        _require_human(update["role"])
    if update.get("role", Role.ADMIN) is not Role.ADMIN or update.get("active") is False:
        await _keep_an_admin(store, operator)
    if "password" in update:
        update["password_hash"] = await hash_password(update.pop("password"))
    if "password_hash" in update or update.get("active") is False:
        update["tokens_since"] = _next_second()
    changed = await store.update(operator_id, update) if update else operator
    return changed or await _existing(store, operator_id)


async def change_password(store: OperatorStore, operator_id: str, current: SecretStr, new: SecretStr) -> Operator:
    """Change one's own password; all tokens issued before end. Raises Invalid where *current* is wrong."""
    operator = await _existing(store, operator_id)
    if not await verify_password(operator.password_hash, current):
        raise Invalid({"current_password": "is wrong"})
    return await edit_operator(store, operator_id, {"password": new})


async def remove_operator(store: OperatorStore, operator_id: str) -> None:
    """Delete an operator. Raises NotFound, Conflict where nobody would be left to administer."""
    await _keep_an_admin(store, await _existing(store, operator_id))
    await store.delete(operator_id)


async def give_token(
    store: OperatorStore, settings: Settings, *, name: str, role: Role, days: float, by: str
) -> tuple[str, ServiceToken]:
    """Return a new service token, which is shown this once. Raises Invalid for a life longer than allowed."""
    if not 0 < days <= settings.token_max_days:
        raise Invalid({"expires_in_days": f"must be more than 0 and at most {settings.token_max_days}"})
    now = utcnow()
    token = ServiceToken(
        id=TOKEN + secrets.token_hex(12),
        name=name,
        role=role,
        created_at=now,
        created_by=by,
        expires_at=now + timedelta(days=days),
    )
    await store.add_token(token)
    return issue_token(settings, token.id, role, lifetime_seconds=days * 86_400), token


async def revoke_token(store: OperatorStore, token_id: str) -> None:
    """Revoke a service token; repeating it changes nothing. Raises NotFound."""
    if not await store.revoke(token_id, utcnow()):
        raise NotFound(f"There is no token {token_id}.")


async def until_good(operator: Operator) -> None:
    """Wait (under a second, right after a change of password) until a token issued now is a good one."""
    await asyncio.sleep(max(0.0, (operator.tokens_since - utcnow()).total_seconds()))


def _next_second() -> datetime:
    """Return the moment from which tokens are good: theirs is a whole second, and those of this one are not."""
    return utcnow().replace(microsecond=0) + timedelta(seconds=1)


async def _existing(store: OperatorStore, operator_id: str) -> Operator:
    operator = await store.get(operator_id)
    if operator is None:
        raise NotFound(f"There is no operator {operator_id}.")
    return operator


async def _admins(store: OperatorStore) -> set[str]:
    return {o.id for o in await store.all() if o.role is Role.ADMIN and o.active}


async def _keep_an_admin(store: OperatorStore, operator: Operator) -> None:
    if await _admins(store) == {operator.id}:
        raise Conflict("This is the last active administrator.", reason="last_admin")


def _require_human(role: Role) -> None:
    if role is Role.SERVICE:
        raise Invalid({"role": "must be viewer, operator or admin"})
