"""Each TCP transport of MTProto, as Telethon and by hand, whole and byte by byte."""

import asyncio
import struct

import pytest
from practice.telegram.secrets import unseal
from practice.telegram.testing import connected
from practice.telegram.wire import LIMIT_BYTES, Wire, WireError
from telethon.network import (
    ConnectionTcpAbridged,
    ConnectionTcpFull,
    ConnectionTcpIntermediate,
    ConnectionTcpObfuscated,
)
from telethon.network.connection.tcpabridged import AbridgedPacketCodec
from telethon.network.connection.tcpfull import FullPacketCodec
from telethon.network.connection.tcpintermediate import IntermediatePacketCodec

from .conftest import SHOP

PACKETS = [bytes(24), b"\1" * 600, b"\2" * 24]


@pytest.mark.parametrize(
    "transport", [ConnectionTcpAbridged, ConnectionTcpFull, ConnectionTcpIntermediate, ConnectionTcpObfuscated]
)
async def test_telethon_signs_in_over_each(platform, telegram, transport):
    async with connected(platform.ports, connection=transport) as client:
        await client.send_code_request(SHOP)
        assert await client.sign_in(SHOP, await telegram.last_code(SHOP))


@pytest.mark.parametrize("codec", [AbridgedPacketCodec, FullPacketCodec, IntermediatePacketCodec])
@pytest.mark.parametrize("piece", [1, 7, 10_000])
async def test_packets_come_out_whole_however_they_come_in(codec, piece):
    speaker, wire = codec(None), Wire()
    stream = (speaker.tag or b"") + b"".join(speaker.encode_packet(one) for one in PACKETS)
    pieces = [stream[start : start + piece] for start in range(0, len(stream), piece)]
    assert [packet for one in pieces for packet in wire.feed(one)] == PACKETS
    assert wire.frame(PACKETS[1]) == codec(None).encode_packet(PACKETS[1])


@pytest.mark.parametrize(
    "stream",
    [
        b"\xee" * 4 + struct.pack("<i", LIMIT_BYTES + 1),
        b"\xee" * 4 + struct.pack("<i", -1),
        struct.pack("<iii", 16, 0, 0) + bytes(4),
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 64,
    ],
)
async def test_what_is_not_mtproto_is_cut_off(stream):
    with pytest.raises(WireError):
        list(Wire().feed(stream))


@pytest.mark.parametrize("garbage", [bytes(20) + b"\xff" * 20, b"\1" * 40], ids=["no request", "an unknown key"])
async def test_a_client_gone_wrong_leaves_the_others_alone(platform, telegram, shop, garbage):
    reader, writer = await asyncio.open_connection(platform.ports.host, platform.ports.port)
    writer.write(b"\xef" + bytes([len(garbage) // 4]) + garbage)
    heard = await asyncio.wait_for(reader.read(5), 10)
    assert heard == (b"" if garbage[:1] == b"\0" else b"\1" + struct.pack("<i", -404))
    writer.close()
    assert await shop.get_me()


async def test_a_message_spoilt_on_its_way_is_not_taken(platform, telegram, shop):
    key = next(iter(platform.world.keys.values()))
    with pytest.raises(ValueError, match="message key"):
        unseal(key.key, struct.pack("<Q", key.id) + bytes(16) + bytes(64))
