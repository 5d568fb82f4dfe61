"""Passwords: argon2id, in a thread, since one hash takes 50 ms of a core."""

import asyncio
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from pydantic import SecretStr

_hasher = PasswordHasher()


@cache
def _decoy() -> str:
    """Return a hash that nobody's password fits; not made at import, where every service would pay for it."""
    return _hasher.hash("nobody's password")


def _text(password: SecretStr | str) -> str:
    return password.get_secret_value() if isinstance(password, SecretStr) else password


async def hash_password(password: SecretStr | str) -> str:
    """Return the hash to store."""
    return await asyncio.to_thread(_hasher.hash, _text(password))


async def verify_password(stored: str | None, password: SecretStr | str) -> bool:
    """Return whether the password fits; an unknown user (None) takes as long as a known one."""
    try:
        await asyncio.to_thread(_verify, stored, _text(password))
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None


def _verify(stored: str | None, password: str) -> None:
    decoy = _decoy()  # at the first sign-in of a process, whoever it is: neither takes longer than the other
    _hasher.verify(stored or decoy, password)
