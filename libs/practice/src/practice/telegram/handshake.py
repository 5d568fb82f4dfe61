"""How a client and the server agree on an auth key (https://core.telegram.org/mtproto/auth_key)."""

import os
import struct
import time
from hashlib import sha1
from typing import Any

from telethon.crypto import AES
from telethon.extensions import BinaryReader
from telethon.helpers import generate_key_data_from_nonce
from telethon.tl import functions as f
from telethon.tl import types as t

from practice.telegram.secrets import ServerKey, to_bytes

#: Telegram's own prime; clients check that it is this one.
DH_PRIME = int(
    "C71CAEB9C6B1C9048E6C522F70F13F73980D40238E3E21C14934D037563D930F48198A0AA7C14058229493D22530F4DBFA336F6E0AC925139543AED44CCE7C37"
    "20FD51F69458705AC68CD4FE6B6B13ABDC9746512969328454F18FAF8C595F642477FE96BB2A941D5BCD1D4AC8CC49880708FA9B378E3C4F3A9060BEE67CF9A4"
    "A4A695811051907E162753B56B0F6B410DBA74D8A84B2A14B3144E0EF1284754FD17ED950D5965B4B9DD46582DB1178D169C6BC465B0D6FF9CA3928FEF5B9AE4"
    "E418FC15E83EBEA0F87FA9FF5EED70050DED2849F47BF959D956850CE929851F0D8115F635B105EE2E4E15D04B2454BF6F4FADF034B10403119CD8E3B92FCC5B",
    16,
)
GENERATOR = 3
#: What clients factorise. One is small, so that it costs them nothing, the other large: of two alike, Telethon's Pollard rho
#: meets both at once one time in 1,000 and answers 1 (17 of 20,000 with 500,009 and 1,000,003; 0 of 100,000 with these).
#: The product's bytes must not look negative to Telethon.
P, Q = 10_007, 2_147_483_647


class HandshakeError(Exception):
    """The client got a step wrong."""


class Handshake:
    """One client's way to its key; `keys` are there after the last answer.

    One key in 256 begins with a zero byte. Telethon drops it and refuses the hash of the whole key (a real server's login
    then fails, and is tried again); others keep it. Here both forms are known, so that no test fails one time in 256.
    """

    def __init__(self, server: ServerKey) -> None:
        self._server = server
        self._steps = {
            f.ReqPqMultiRequest: self._begin,
            f.ReqDHParamsRequest: self._offer,
            f.SetClientDHParamsRequest: self._finish,
        }
        self.keys: list[bytes] = []

    def answer(self, request: Any) -> bytes:
        """Return the answer to one step. Raises HandshakeError."""
        step = self._steps.get(type(request))
        if step is None:
            raise HandshakeError(f"{type(request).__name__} without a key")
        return bytes(step(request))

    def _begin(self, request: Any) -> Any:
        self._nonce = request.nonce
        self._server_nonce = int.from_bytes(os.urandom(16), "little", signed=True)
        return t.ResPQ(self._nonce, self._server_nonce, to_bytes(P * Q), [self._server.fingerprint])

    def _offer(self, request: Any) -> Any:
        plain = self._server.decrypt(request.encrypted_data)
        reader = BinaryReader(plain[20:])
        inner = reader.tgread_object()
        if sha1(plain[20 : 20 + reader.tell_position()]).digest() != plain[:20]:  # noqa: S324 # MTProto's own
            raise HandshakeError("another server's key")
        if int.from_bytes(inner.p, "big") != P or inner.server_nonce != self._server_nonce:
            raise HandshakeError("wrong factors or nonce")
        self._new_nonce = inner.new_nonce
        # 256 bits are enough for practice, and eight times cheaper than 2,048
        self._exponent = int.from_bytes(os.urandom(32), "big")
        public = pow(GENERATOR, self._exponent, DH_PRIME).to_bytes(256, "big")
        prime = DH_PRIME.to_bytes(256, "big")
        offer = bytes(t.ServerDHInnerData(self._nonce, self._server_nonce, GENERATOR, prime, public, int(time.time())))
        offer = sha1(offer).digest() + offer  # noqa: S324 # MTProto's own
        self._temporary = generate_key_data_from_nonce(self._server_nonce, self._new_nonce)
        padded = offer + os.urandom(-len(offer) % 16)
        return t.ServerDHParamsOk(self._nonce, self._server_nonce, bytes(AES.encrypt_ige(padded, *self._temporary)))

    def _finish(self, request: Any) -> Any:
        plain = bytes(AES.decrypt_ige(request.encrypted_data, *self._temporary))
        inner = BinaryReader(plain[20:]).tgread_object()
        public = int.from_bytes(inner.g_b, "big")
        key = pow(public, self._exponent, DH_PRIME).to_bytes(256, "big")
        self.keys = list(dict.fromkeys((key.lstrip(b"\0"), key)))
        return t.DhGenOk(self._nonce, self._server_nonce, self._confirmation())

    def _confirmation(self) -> int:
        new_nonce = self._new_nonce.to_bytes(32, "little", signed=True)
        helper = sha1(self.keys[0]).digest()[:8]  # noqa: S324 # MTProto's own
        digest = sha1(new_nonce + struct.pack("<B", 1) + helper).digest()  # noqa: S324 # MTProto's own
        return int.from_bytes(digest[4:20], "little", signed=True)
