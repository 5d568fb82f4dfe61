"""Tokens: our own (HS256), an outside issuer's (RS256/ES256, by its JWKS), and the services' shared one."""

import asyncio
import hmac
import time
from datetime import timedelta
from typing import Any

import httpx
import jwt

from servicekit.auth.roles import Principal, Role
from servicekit.clock import utcnow
from servicekit.errors import Permanent, Unauthorized, Unavailable
from servicekit.logs import get_logger
from servicekit.settings import ServiceSettings

ISSUER = "kurir"
MIN_SECRET_BYTES = 32
_JWKS_LIFE_SECONDS = 600.0
_JWKS_REFETCH_SECONDS = 30.0
_JWKS_FIRST_SECONDS = 2.0
_log = get_logger("servicekit.auth")


def _secret(settings: ServiceSettings) -> str:
    secret = settings.jwt_secret.get_secret_value()
    if len(secret) < MIN_SECRET_BYTES:
        raise Permanent("jwt_secret", f"KURIR_JWT_SECRET must have at least {MIN_SECRET_BYTES} characters")
    return secret


def issue_token(settings: ServiceSettings, subject: str, role: Role, *, lifetime_seconds: float | None = None) -> str:
    """Return a token of ours. Raises Permanent("jwt_secret") without a good secret."""
    now = utcnow()
    life = settings.jwt_lifetime_seconds if lifetime_seconds is None else lifetime_seconds
    claims = {
        "iss": ISSUER,
        "aud": ISSUER,
        "sub": subject,
        "role": role.value,
        "iat": now,
        "exp": now + timedelta(seconds=life),
    }
    return jwt.encode(claims, _secret(settings), algorithm="HS256")


class Authenticator:
    """Turns a bearer token into a Principal."""

    def __init__(self, settings: ServiceSettings) -> None:
        """Take secrets and issuer from the settings.

        Raises Permanent("jwks") for keys without an issuer and an audience: they sign for other people's programs too.
        """
        if settings.jwks_url and not (settings.jwks_issuer and settings.jwks_audience):
            raise Permanent("jwks", "KURIR_JWKS_URL needs KURIR_JWKS_ISSUER and KURIR_JWKS_AUDIENCE beside it")
        self._settings = settings
        self._outside = _Jwks(settings.jwks_url) if settings.jwks_url else None

    async def authenticate(self, token: str) -> Principal:
        """Return who the token stands for. Raises Unauthorized; Unavailable where the issuer's keys cannot be had."""
        shared = self._settings.service_token.get_secret_value()
        if shared and hmac.compare_digest(shared.encode(), token.encode()):
            return Principal(subject="service", role=Role.SERVICE)
        try:
            header = jwt.get_unverified_header(token)
            claims = await self._claims(token, header)
            role = Role(str(claims.get(self._role_claim(header))))
        except jwt.PyJWTError as error:
            raise Unauthorized(f"the token is not valid: {type(error).__name__}") from error
        except ValueError as error:
            raise Unauthorized("the token names no role of ours") from error
        return Principal(subject=str(claims["sub"]), role=role)

    def _role_claim(self, header: dict[str, Any]) -> str:
        return "role" if header.get("alg") == "HS256" else self._settings.jwks_role_claim

    async def _claims(self, token: str, header: dict[str, Any]) -> dict[str, Any]:
        required: Any = {"require": ["exp", "sub"], "verify_aud": True}
        if header.get("alg") == "HS256":
            if not self._settings.jwt_secret.get_secret_value():
                raise jwt.InvalidKeyError("this service takes no tokens of ours")
            return jwt.decode(
                token, _secret(self._settings), algorithms=["HS256"], audience=ISSUER, issuer=ISSUER, options=required
            )
        if self._outside is None:
            raise jwt.InvalidAlgorithmError("no outside issuer is set")
        key = await self._outside.key(str(header.get("kid", "")))
        return jwt.decode(
            token,
            key,
            algorithms=["RS256", "ES256"],
            audience=self._settings.jwks_audience,
            issuer=self._settings.jwks_issuer,
            options=required,
        )


class _Jwks:
    """An issuer's keys, kept ten minutes; an unknown key id fetches them again, at most every 30 s.

    One that does not answer is asked no more often: strangers' tokens must not keep everybody waiting for it.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = self._tried = float("-inf")
        self._lock = asyncio.Lock()

    async def key(self, kid: str) -> jwt.PyJWK:
        async with self._lock:
            now = time.monotonic()
            wanted = kid not in self._keys or now - self._fetched > _JWKS_LIFE_SECONDS
            if wanted and now - self._tried > (_JWKS_REFETCH_SECONDS if self._keys else _JWKS_FIRST_SECONDS):
                self._tried = now
                await self._fetch()
        if not self._keys:
            raise Unavailable("the token issuer does not answer")
        if kid not in self._keys:
            raise jwt.InvalidKeyError("the token's key is unknown to its issuer")
        return self._keys[kid]

    async def _fetch(self) -> None:
        try:
            async with httpx.AsyncClient(timeout=5) as client:
                answer = (await client.get(self._url)).raise_for_status().json()
            self._keys = {key.key_id or "": key for key in jwt.PyJWKSet.from_dict(answer).keys}
            self._fetched = time.monotonic()
        except (httpx.HTTPError, ValueError, jwt.PyJWTError) as error:
            _log.warning("the issuer's keys cannot be had", url=self._url, error=repr(error)[:200])
