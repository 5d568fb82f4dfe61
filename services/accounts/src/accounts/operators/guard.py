"""Tokens end here at once when their owner is switched off; elsewhere they end by their expiry."""

import base64
import json

from servicekit.auth import Authenticator, Principal
from servicekit.clock import utcnow
from servicekit.errors import Unauthorized
from servicekit.settings import ServiceSettings

from accounts.operators.domain import OPERATOR, TOKEN
from accounts.operators.store import OperatorStore


class RevocableAuthenticator(Authenticator):
    """Asks the store about every operator and service token; other tokens (an outside issuer's) pass as they are."""

    def __init__(self, settings: ServiceSettings, store: OperatorStore) -> None:
        """Take secrets from the settings, owners from *store*."""
        super().__init__(settings)
        self._store = store

    async def authenticate(self, token: str) -> Principal:
        """Return who the token stands for, with the role as it is now. Raises Unauthorized, Unavailable."""
        principal = await super().authenticate(token)
        if principal.subject.startswith(OPERATOR):
            return await self._operator(principal, token)
        if principal.subject.startswith(TOKEN):
            kept = await self._store.token(principal.subject)
            if kept is None or not kept.is_valid(utcnow()):
                raise Unauthorized("the token was revoked", reason="token_revoked")
        return principal

    async def _operator(self, principal: Principal, token: str) -> Principal:
        operator = await self._store.get(principal.subject)
        if operator is None or not operator.active or _issued_at(token) < operator.tokens_since.timestamp():
            raise Unauthorized("sign in again", reason="session_ended")
        return Principal(subject=operator.id, role=operator.role)


def _issued_at(token: str) -> float:
    """Return when a token, whose signature is checked already, was issued (whole seconds)."""
    claims = token.split(".")[1]
    return float(json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["iat"])
