"""The server's keys: RSA for the handshake, AES-IGE for messages (MTProto 2.0), and what hangs on them.

Source: https://core.telegram.org/mtproto/description.
"""

import os
import struct
from hashlib import sha1, sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from telethon.crypto import AES
from telethon.tl import TLObject

TO_SERVER, TO_CLIENT = 0, 8


class ServerKey:
    """The RSA key that clients trust."""

    def __init__(self, private: rsa.RSAPrivateKey) -> None:
        self._private = private
        numbers = private.private_numbers()
        self._d, self.modulus = numbers.d, numbers.public_numbers.n
        parts = (self.modulus, numbers.public_numbers.e)
        packed = b"".join(TLObject.serialize_bytes(to_bytes(part)) for part in parts)
        self.fingerprint: int = struct.unpack("<q", sha1(packed).digest()[-8:])[0]  # noqa: S324 # MTProto's own

    @classmethod
    def at(cls, key_file: str) -> "ServerKey":
        """Return the key kept beside this file, or a new one; writes the public key into the file."""
        if not key_file:
            return cls(rsa.generate_private_key(65537, 2048))
        private = Path(key_file + ".private")
        if not private.exists():
            made = rsa.generate_private_key(65537, 2048)
            private.touch(mode=0o600)
            private.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
        loaded = load_pem_private_key(private.read_bytes(), None)
        assert isinstance(loaded, rsa.RSAPrivateKey)
        key = cls(loaded)
        Path(key_file).write_text(key.pem, encoding="ascii")
        return key

    @property
    def pem(self) -> str:
        """The public key as clients take it."""
        return self._private.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode()

    def decrypt(self, data: bytes) -> bytes:
        """Return the 255 bytes that a client encrypted."""
        return pow(int.from_bytes(data, "big"), self._d, self.modulus).to_bytes(256, "big")[1:]


def to_bytes(number: int) -> bytes:
    """Return a number in as few bytes as it needs, big endian."""
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def key_id_of(auth_key: bytes) -> int:
    """Return the 64-bit id of an auth key."""
    return int.from_bytes(sha1(auth_key).digest()[-8:], "little")  # noqa: S324 # MTProto's own


def _aes(auth_key: bytes, message_key: bytes, way: int) -> tuple[bytes, bytes]:
    a = sha256(message_key + auth_key[way : way + 36]).digest()
    b = sha256(auth_key[way + 40 : way + 76] + message_key).digest()
    return a[:8] + b[8:24] + a[24:], b[:8] + a[8:24] + b[24:]


def seal(auth_key: bytes, key_id: int, plain: bytes) -> bytes:
    """Return a message to the client, padded and encrypted."""
    plain += os.urandom(-(len(plain) + 12) % 16 + 12)
    message_key = sha256(auth_key[96:128] + plain).digest()[8:24]
    return (
        struct.pack("<Q", key_id) + message_key + bytes(AES.encrypt_ige(plain, *_aes(auth_key, message_key, TO_CLIENT)))
    )


def unseal(auth_key: bytes, packet: bytes) -> bytes:
    """Return what a client encrypted. Raises ValueError where the message key is wrong."""
    message_key = packet[8:24]
    plain = bytes(AES.decrypt_ige(packet[24:], *_aes(auth_key, message_key, TO_SERVER)))
    if sha256(auth_key[88:120] + plain).digest()[8:24] != message_key:
        raise ValueError("a wrong message key")
    return plain
