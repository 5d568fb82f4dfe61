"""One client's connection: packets to requests, answers and pushed updates to packets.

Source: https://core.telegram.org/mtproto/service_messages.
"""

import asyncio
import logging
import struct
import time
from typing import TYPE_CHECKING, Any, cast

from telethon.extensions import BinaryReader
from telethon.tl import functions as f
from telethon.tl import types as t
from telethon.tl.core import GzipPacked, MessageContainer

from practice.telegram.answers import Answer, invoke
from practice.telegram.calls import Call
from practice.telegram.handshake import Handshake
from practice.telegram.people import AuthKey
from practice.telegram.secrets import seal, unseal
from practice.telegram.wire import Wire

if TYPE_CHECKING:
    from practice.telegram.platform import TelegramPlatform

log = logging.getLogger(__name__)

KEY_UNKNOWN = struct.pack("<i", -404)
PACKET_BYTES = 500_000
PACKET_MESSAGES = 100
RPC_RESULT = 0xF35C6D01
CONTAINER = 0x73F1F8DC


class Connection(asyncio.Protocol):
    """A client's TCP connection to one DC."""

    def __init__(self, platform: "TelegramPlatform", dc: int) -> None:
        self.platform, self.world, self.dc = platform, platform.world, dc
        self.key: AuthKey | None = None
        self.transport: asyncio.Transport
        self._wire, self._handshake = Wire(), Handshake(platform.server_key)
        self._session: int | None = None
        self._sequence = self._last_id = 0
        self._waiting: list[tuple[int, int, bytes]] = []

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, unless the fault `down` cuts it."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        self.platform.connections.add(self)
        if self.world.faults.is_down:
            self.transport.abort()

    def connection_lost(self, _exc: Exception | None) -> None:
        """Stop pushing to it."""
        self.platform.connections.discard(self)
        if self.key is not None:
            self.key.connections.discard(self)
            self.listen(wanted=False)

    def data_received(self, data: bytes) -> None:
        """Answer whole packets; a client that breaks the protocol is cut off."""
        try:
            for packet in self._wire.feed(data):
                self._packet(packet)
        except Exception as error:  # whatever a client sends, the others are served on
            log.warning("cut a client off: %s: %s", type(error).__name__, error)
            self.transport.abort()

    # -- what comes in

    def _packet(self, packet: bytes) -> None:
        (key_id,) = struct.unpack_from("<Q", packet)
        if key_id == 0:
            self._agree(BinaryReader(packet[20:]).tgread_object())
            return
        key = self.world.keys.get(key_id)
        if key is None or key.dc != self.dc:
            self.transport.write(self._wire.frame(KEY_UNKNOWN))
            return
        self._use(key)
        plain = unseal(key.key, packet)
        salt, session, message_id, sequence, length = struct.unpack_from("<qqqii", plain)
        if session != self._session:
            self._session, self._sequence = session, 0
            self.send(bytes(t.NewSessionCreated(message_id, session, self.platform.salt)))
        if salt != self.platform.salt:
            self._push(bytes(t.BadServerSalt(message_id, sequence, 48, self.platform.salt)), content=False)
            return
        self._message(message_id, sequence, BinaryReader(plain[32 : 32 + length]).tgread_object())

    def _agree(self, request: Any) -> None:
        body = self._handshake.answer(request)
        self.transport.write(self._wire.frame(struct.pack("<qqi", 0, self._message_id(1), len(body)) + body))
        for key in self._handshake.keys:
            self.world.add_key(key, self.dc)
        if self._handshake.keys:
            self._handshake = Handshake(self.platform.server_key)

    def _use(self, key: AuthKey) -> None:
        if self.key is key:
            return
        self.key = key
        key.connections.add(self)
        if self.world.switches.one_connection_per_key and len(key.connections) > 1 and key.person:
            self.world.sign_out(key.id, "AUTH_KEY_DUPLICATED")

    def _message(self, message_id: int, sequence: int, content: Any) -> None:
        if isinstance(content, MessageContainer):
            for one in content.messages:
                self._message(one.msg_id, one.seq_no, one.obj)
        elif isinstance(content, GzipPacked):
            self._message(message_id, sequence, BinaryReader(content.data).tgread_object())
        elif isinstance(content, f.PingRequest | f.PingDelayDisconnectRequest):
            self._push(bytes(t.Pong(message_id, content.ping_id)), content=False)
        elif sequence & 1:
            self._call(message_id, content)

    def _call(self, message_id: int, request: Any) -> None:
        assert self.key is not None
        answer = invoke(Call(self.world, self, self.key), request)
        if answer.delay_seconds:
            asyncio.get_running_loop().call_later(answer.delay_seconds, self._answer, message_id, answer)
        else:
            self._answer(message_id, answer)

    def _answer(self, message_id: int, answer: Answer) -> None:
        if answer.drops:
            self.transport.abort()
        elif answer.body is not None:
            self._push(struct.pack("<Iq", RPC_RESULT, message_id) + answer.body)

    def belongs_to(self, phone: str) -> bool:
        """Whether the person with this number is signed in here."""
        return self.key is not None and self.key.person is not None and self.key.person.phone == phone

    # -- what goes out

    def listen(self, *, wanted: bool) -> None:
        """Push its person's updates to this connection, or no longer."""
        if self.key is not None and self.key.person is not None:
            listeners = self.key.person.listeners
            (listeners.add if wanted else listeners.discard)(self)

    def send(self, body: bytes) -> None:
        """Push updates or a service message to the client."""
        if self._session is not None:
            self._push(body)

    def _push(self, body: bytes, *, content: bool = True) -> None:
        """Add to what goes out together at the end of this turn of the loop."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        # answers end in 1, what the server says by itself in 3; clients only want them odd
        self._waiting.append((self._message_id(1), self._sequence * 2 + content, body))
        self._sequence += content

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        batch: list[tuple[int, int, bytes]] = []
        size = 0
        for one in waiting:
            if batch and (size + len(one[2]) > PACKET_BYTES or len(batch) == PACKET_MESSAGES):
                self._write(batch)
                batch, size = [], 0
            batch.append(one)
            size += len(one[2])
        self._write(batch)

    def _write(self, batch: list[tuple[int, int, bytes]]) -> None:
        """Write messages as one packet: alone as they are, several in a container."""
        if self.key is None or self.transport.is_closing():
            return
        message_id, sequence, body = batch[0]
        if len(batch) > 1:
            parts = [struct.pack("<qii", id_, number, len(part)) + part for id_, number, part in batch]
            body = struct.pack("<Ii", CONTAINER, len(batch)) + b"".join(parts)
            message_id, sequence = self._message_id(1), self._sequence * 2
        head = struct.pack("<qqqii", self.platform.salt, self._session, message_id, sequence, len(body))
        self.transport.write(self._wire.frame(seal(self.key.key, self.key.id, head + body)))

    def _message_id(self, kind: int) -> int:
        """Return the next message id: the time in 2^-32 seconds, rising, of this kind modulo 4."""
        self._last_id = max((int(time.time() * 2**32) & ~3) | kind, self._last_id + 4)
        return self._last_id
