"""Passwords: argon2id, in a thread, since one hash takes 50 ms of a core."""

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from pydantic import SecretStr

_hasher = PasswordHasher()
_DECOY = _hasher.hash("nobody's password")


def _text(password: SecretStr | str) -> str:
    return password.get_secret_value() if isinstance(password, SecretStr) else password


async def hash_password(password: SecretStr | str) -> str:
    """Return the hash to store."""
    return await asyncio.to_thread(_hasher.hash, _text(password))


async def verify_password(stored: str | None, password: SecretStr | str) -> bool:
    """Return whether the password fits; an unknown user (None) takes as long as a known one."""
    try:
        await asyncio.to_thread(_hasher.verify, stored or _DECOY, _text(password))
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None
