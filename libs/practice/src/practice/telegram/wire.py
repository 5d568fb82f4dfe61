"""MTProto's TCP transports, the server's side, without sockets: bytes in, packets out, and back.

Source: https://core.telegram.org/mtproto/mtproto-transports. The first bytes tell which one a client speaks.
"""

import os
import struct
from collections.abc import Callable, Iterator
from typing import Protocol
from zlib import crc32

from telethon.crypto import AESModeCTR

#: Packets beyond this are a client gone wrong.
LIMIT_BYTES = 16 * 1024 * 1024


class WireError(Exception):
    """The client does not speak MTProto."""


class Framing(Protocol):
    """How packets are told apart in a stream."""

    def frame(self, packet: bytes) -> bytes:
        """Return the bytes that carry this packet."""
        ...

    def packet(self, buffer: bytearray) -> bytes | None:
        """Take the next whole packet off the buffer, or None while it is not all there."""
        ...


def _take(buffer: bytearray, header: int, length: int) -> bytes | None:
    if not 0 <= length <= LIMIT_BYTES:
        raise WireError(f"a packet of {length} bytes")
    if len(buffer) < header + length:
        return None
    packet = bytes(buffer[header : header + length])
    del buffer[: header + length]
    return packet


class Abridged:
    """Lengths in words: one byte, or 0x7f and three."""

    def frame(self, packet: bytes) -> bytes:
        """Return the bytes that carry this packet."""
        words = len(packet) >> 2
        return (bytes((words,)) if words < 127 else b"\x7f" + words.to_bytes(3, "little")) + packet

    def packet(self, buffer: bytearray) -> bytes | None:
        """Take the next whole packet off the buffer."""
        if not buffer:
            return None
        if buffer[0] < 127:
            return _take(buffer, 1, buffer[0] << 2)
        return _take(buffer, 4, int.from_bytes(buffer[1:4], "little") << 2) if len(buffer) >= 4 else None


class Intermediate:
    """Lengths in four bytes; the padded kind adds up to fifteen random bytes, which are ignored."""

    def __init__(self, *, padded: bool = False) -> None:
        self._padded = padded

    def frame(self, packet: bytes) -> bytes:
        """Return the bytes that carry this packet."""
        if self._padded:
            packet += os.urandom(os.urandom(1)[0] % 4)
        return struct.pack("<i", len(packet)) + packet

    def packet(self, buffer: bytearray) -> bytes | None:
        """Take the next whole packet off the buffer; an encrypted one is its first 24 bytes and whole AES blocks."""
        if len(buffer) < 4:
            return None
        packet = _take(buffer, 4, struct.unpack_from("<i", buffer)[0])
        if packet is None or not self._padded or packet[:8] == bytes(8):
            return packet
        return packet[: len(packet) - (len(packet) - 24) % 16]


class Full:
    """Lengths, counters and checksums."""

    def __init__(self) -> None:
        self._sent = 0

    def frame(self, packet: bytes) -> bytes:
        """Return the bytes that carry this packet."""
        head = struct.pack("<ii", len(packet) + 12, self._sent) + packet
        self._sent += 1
        return head + struct.pack("<I", crc32(head))

    def packet(self, buffer: bytearray) -> bytes | None:
        """Take the next whole packet off the buffer. Raises WireError for a wrong checksum."""
        if len(buffer) < 4:
            return None
        whole = _take(buffer, 0, struct.unpack_from("<i", buffer)[0])
        if whole is None:
            return None
        if len(whole) < 12 or crc32(whole[:-4]) != struct.unpack("<I", whole[-4:])[0]:
            raise WireError("a wrong checksum")
        return whole[8:-4]


class Wire:
    """One client's byte stream: finds out its transport, obfuscated or not, and cuts it into packets."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._framing: Framing | None = None
        self._incoming: AESModeCTR | None = None
        self._outgoing: AESModeCTR | None = None

    def frame(self, packet: bytes) -> bytes:
        """Return the bytes that carry this packet to the client."""
        assert self._framing is not None
        framed = self._framing.frame(packet)
        return self._outgoing.encrypt(framed) if self._outgoing else framed

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the packets that are now whole. Raises WireError."""
        self._buffer += self._incoming.encrypt(data) if self._incoming else data
        if self._framing is None and not self._recognise():
            return
        assert self._framing is not None
        while (packet := self._framing.packet(self._buffer)) is not None:
            yield packet

    def _recognise(self) -> bool:
        head = bytes(self._buffer[:8])
        if head[:1] == b"\xef":
            self._framing = Abridged()
            del self._buffer[:1]
        elif head[:4] in {b"\xee" * 4, b"\xdd" * 4}:
            self._framing = Intermediate(padded=head[:1] == b"\xdd")
            del self._buffer[:4]
        elif len(head) == 8 and head[4:] == bytes(4):
            self._framing = Full()
        elif len(self._buffer) >= 64:
            self._deobfuscate()
        return self._framing is not None

    def _deobfuscate(self) -> None:
        """Set up the two AES-CTR streams of an obfuscated client from its first 64 bytes, and decrypt the rest."""
        head, rest = bytes(self._buffer[:64]), bytes(self._buffer[64:])
        backwards = head[55:7:-1]
        self._incoming = AESModeCTR(head[8:40], head[40:56])
        self._outgoing = AESModeCTR(backwards[:32], backwards[32:])
        tag = self._incoming.encrypt(head)[56:60]
        if tag not in _OBFUSCATED:
            raise WireError("an unknown transport")
        self._framing = _OBFUSCATED[tag]()
        self._buffer = bytearray(self._incoming.encrypt(rest))


_OBFUSCATED: dict[bytes, Callable[[], Framing]] = {
    b"\xef" * 4: Abridged,
    b"\xee" * 4: Intermediate,
    b"\xdd" * 4: lambda: Intermediate(padded=True),
}
