"""The ledger: memory and disk of NATS for each million attempts it remembers, and its start after a SIGKILL."""

import asyncio
import secrets
import time
from datetime import UTC, datetime

import nats
from contracts import subjects
from contracts.channels import Channel
from contracts.state import LedgerEntry
from contracts.topology import topology
from nats.js import JetStreamContext
from servicekit import topology as rules
from servicekit.pipe import Pipe

from tests.bench.measure import Figure, folder, memory_mb
from tests.support.servers import NatsServer

KEYS, PER_BATCH = 200_000, 500
MILLION = 1_000_000
BUCKET = subjects.bucket("ledger", Channel.EMAIL)
_AT_ONCE = 2_000


async def measure() -> list[Figure]:
    """Return MB per million keys, extrapolated from fewer, and seconds until NATS is back with those."""
    with folder() as path:
        server = NatsServer(path / "nats")
        server.start()
        try:
            return await _measured(server)
        finally:
            server.stop()


async def _measured(server: NatsServer) -> list[Figure]:
    connection = await nats.connect(server.url)
    js = connection.jetstream()
    await rules.apply(js, topology([Channel.EMAIL]))
    before = _memory(server)
    seconds = await _fill(Pipe(connection))
    await asyncio.sleep(5)
    memory, disk = _memory(server) - before, await _bytes(js)
    await connection.close()
    back, after = await _killed(server)
    scale, what = MILLION / KEYS, f"per million keys (measured with {KEYS:,})"
    return [
        Figure(f"ledger: memory of NATS {what}", memory * scale, "MB more"),
        Figure(f"ledger: the same after a SIGKILL and a start, {what}", (after - before) * scale, "MB more"),
        Figure(f"ledger: disk {what}", disk / 1e6 * scale, "MB"),
        Figure(f"ledger: NATS is back with {KEYS:,} keys after its SIGKILL", back, "s"),
        Figure("ledger: keys written", KEYS / seconds, "per second"),
    ]


async def _fill(pipe: Pipe) -> float:
    """Write entries as lanes leave them behind, and return how long it took."""
    await pipe.start()
    began = time.perf_counter()
    for first in range(0, KEYS, _AT_ONCE):
        answers = [await pipe.publish(*_entry(number)) for number in range(first, first + _AT_ONCE)]
        await asyncio.gather(*answers)
    return time.perf_counter() - began


def _entry(number: int) -> tuple[str, bytes]:
    key = f"acc_{secrets.token_hex(12)[:4]}.camp_{'b' * 24}.{number // PER_BATCH}.{secrets.token_hex(16)}"
    sent = LedgerEntry(
        state="sent", token=secrets.token_hex(16), platform_ids=[f"<{secrets.token_hex(16)}@example.com>"],
        at=datetime.now(UTC),
    )  # fmt: skip
    return f"$KV.{BUCKET}.{key}", sent.model_dump_json(exclude_defaults=True).encode()


async def _bytes(js: JetStreamContext) -> int:
    state = (await js.stream_info(f"KV_{BUCKET}")).state
    assert state.messages == KEYS, state
    return int(state.bytes)


async def _killed(server: NatsServer) -> tuple[float, float]:
    """SIGKILL; return seconds until every key is there again, and the memory then."""
    began = time.perf_counter()
    server.kill()
    await asyncio.to_thread(server.start, 300)
    connection = await nats.connect(server.url)
    await _bytes(connection.jetstream(timeout=30))
    seconds = time.perf_counter() - began
    await asyncio.sleep(5)
    await connection.close()
    return seconds, _memory(server)


def _memory(server: NatsServer) -> float:
    assert server.process is not None
    return memory_mb(server.process.pid)
