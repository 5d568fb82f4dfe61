"""The parser of the short way: however a connection's bytes are cut, the same is heard in the same order."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.errors import ProtocolError
from servicekit.direct import DirectParser, block

_DIRECT = 7


class Heard:
    """What nats-py's client would hear, in order."""

    is_reconnecting = is_closed = False

    def __init__(self) -> None:
        self.heard: list[tuple] = []

    async def _process_msg(self, sid, subject, reply, data, head) -> None:
        self.heard.append(("nats-py", sid, bytes(subject), bytes(reply), bytes(data), head and bytes(head)))

    async def _process_err(self, text) -> None:
        self.heard.append(("err", text))

    async def _process_ping(self) -> None:
        self.heard.append(("ping",))

    async def _process_pong(self) -> None:
        self.heard.append(("pong",))

    async def _process_info(self, info) -> None:
        self.heard.append(("info", info["ldm"], len(info["urls"])))


def parser() -> tuple[DirectParser, Heard]:
    nc = Heard()
    made = DirectParser(nc)
    made.handlers[_DIRECT] = lambda one: nc.heard.append(("direct", *one))
    return made, nc


_payloads = st.one_of(st.binary(max_size=40), st.sampled_from([b"\r\n", b"\r\nPING\r\n", b"MSG t.x 7 3\r\nabc\r\n"]))


@st.composite
def _commands(draw) -> tuple[bytes, tuple]:
    kind = draw(st.sampled_from(["msg", "hmsg", "ping", "pong", "ok", "err", "info"]))
    if kind in ("msg", "hmsg"):
        sid, reply, data = draw(st.sampled_from([_DIRECT, 8])), draw(st.sampled_from([b"", b"r.1"])), draw(_payloads)
        head = block({"n": "1"}) if kind == "hmsg" else b""
        sizes = b"%d %d" % (len(head), len(head) + len(data)) if head else b"%d" % len(data)
        words = [kind.upper().encode(), b"t.x", b"%d" % sid, *([reply] if reply else []), sizes]
        wire = b" ".join(words) + b"\r\n" + head + data + b"\r\n"
        to_direct, to_nats = ("direct", b"t.x", reply, head, data), ("nats-py", sid, b"t.x", reply, data, head or None)
        return wire, to_direct if sid == _DIRECT else to_nats
    if kind == "info":
        urls = ",".join(f'"n{n}:4222"' for n in range(draw(st.sampled_from([1, 600]))))
        return b'INFO {"ldm":true,"urls":[%b]}\r\n' % urls.encode(), ("info", True, urls.count(",") + 1)
    wires = {"ping": b"PING\r\n", "pong": b"PONG\r\n", "ok": b"+OK\r\n", "err": b"-ERR 'Permissions Violation'\r\n"}
    heard = {"ping": ("ping",), "pong": ("pong",), "ok": (), "err": ("err", "'permissions violation'")}
    return wires[kind], heard[kind]


@given(st.lists(_commands(), max_size=12), st.data())
def test_however_the_bytes_are_cut_the_same_is_heard(commands, data) -> None:
    wire = b"".join(one for one, _ in commands)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(wire)), max_size=10)))

    async def run() -> list[tuple]:
        made, nc = parser()
        for start, stop in zip([0, *cuts], [*cuts, len(wire)], strict=True):
            await made.parse(wire[start:stop])
        return nc.heard

    assert asyncio.run(run()) == [one for _, one in commands if one]


async def test_a_new_connection_begins_clean_in_the_middle_of_a_message() -> None:
    made, nc = parser()
    await made.parse(b"MSG t.x 7 100\r\nhalf")
    made.reset()
    await made.parse(b"PING\r\nMSG t.x 7 2\r\nok\r\n")
    assert nc.heard == [("ping",), ("direct", b"t.x", b"", b"", b"ok")]


@pytest.mark.parametrize("garbage", [b"x" * 70_000, b"HELLO\r\n", b"MSG t.x 7 many\r\n", b"MSG\r\n"])
async def test_what_is_no_nats_ends_the_connection_as_an_error_of_the_protocol(garbage: bytes) -> None:
    """Anything else would end nats-py's read loop and leave the connection deaf until its pings notice."""
    made, _ = parser()
    with pytest.raises(ProtocolError):
        await made.parse(garbage)
