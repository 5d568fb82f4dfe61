"""The check of a two-step password, which never crosses the wire (https://core.telegram.org/api/srp)."""

import os
import random
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any

from telethon.password import compute_hash
from telethon.tl import types as t

from practice.telegram.handshake import DH_PRIME, GENERATOR

PRIME = DH_PRIME.to_bytes(256, "big")


def _hash(*parts: bytes) -> bytes:
    return sha256(b"".join(parts)).digest()


def _wide(number: int) -> bytes:
    return number.to_bytes(256, "big")


@lru_cache(maxsize=10_000)
def _verifier(password: str) -> tuple[Any, int]:
    """Return the salted way from a password to its verifier, and the verifier; 100,000 rounds, hence kept."""
    algorithm = t.PasswordKdfAlgoSHA256SHA256PBKDF2HMACSHA512iter100000SHA256ModPow(
        os.urandom(8), os.urandom(16), GENERATOR, PRIME
    )
    return algorithm, pow(GENERATOR, int.from_bytes(compute_hash(algorithm, password), "big"), DH_PRIME)


@dataclass(frozen=True, slots=True)
class SrpCheck:
    """One check, good for one try."""

    id: int
    algorithm: Any
    verifier: int
    secret: int
    public: int

    @classmethod
    def of(cls, password: str) -> "SrpCheck":
        """Begin the check of a password."""
        algorithm, verifier = _verifier(password)
        secret = int.from_bytes(os.urandom(256), "big")
        factor = int.from_bytes(_hash(PRIME, _wide(GENERATOR)), "big")
        public = (factor * verifier + pow(GENERATOR, secret, DH_PRIME)) % DH_PRIME
        return cls(random.getrandbits(62), algorithm, verifier, secret, public)

    def accepts(self, public: bytes, proof: bytes) -> bool:
        """Whether a client's A and M1 show that it knows the password."""
        a, b = public.rjust(256, b"\0"), _wide(self.public)
        scrambler = int.from_bytes(_hash(a, b), "big")
        shared = pow(int.from_bytes(a, "big") * pow(self.verifier, scrambler, DH_PRIME), self.secret, DH_PRIME)
        mixed = bytes(x ^ y for x, y in zip(_hash(PRIME), _hash(_wide(GENERATOR)), strict=True))
        salts = _hash(self.algorithm.salt1) + _hash(self.algorithm.salt2)
        return _hash(mixed, salts, a, b, _hash(_wide(shared))) == proof
