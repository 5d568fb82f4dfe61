"""10,000 accounts on one channel: what they take of NATS, and what one channel process makes of them."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import nats
import pytest
from channelkit.settings import ChannelSettings
from contracts import subjects
from contracts.channels import Channel
from nats.js import JetStreamContext
from nats.js import errors as js_errors
from nats.js.api import ConsumerConfig
from servicekit.delivery.consumers import consumer_config
from servicekit.pipe import Pipe

from tests.bench.channel import Bench, channel, cpu_seconds, mail_account
from tests.bench.measure import Figure, fast_smtp, memory_mb

ACCOUNTS = int(os.environ.get("BENCH_ACCOUNTS", "10000"))
HELD = min(ACCOUNTS, int(ChannelSettings.model_fields["max_sessions"].default))
"""So many one process holds by default; the others wait for further replicas."""
STREAM = subjects.commands_stream(Channel.EMAIL)
AT_ONCE = 50
IDLE_SECONDS = 20.0
_PATIENCE_SECONDS = 900.0


async def measure() -> list[Figure]:
    """Return the process's figures with every account known and its share of lanes open, then those of NATS."""
    async with channel() as bench, fast_smtp() as port:
        before = memory_mb(bench.process.pid)
        opened = await _open(bench, port)
        await asyncio.sleep(5)
        process = [
            _figure(f"one process has its {HELD:,} lanes open after", opened, "s"),
            _figure(f"memory of a channel's process with {HELD:,} lanes", memory_mb(bench.process.pid), "MB", before),
            *await _idle(bench),
        ]
        return [*process, *await _bus(bench)]


def _figure(what: str, value: float, unit: str, baseline: float | None = None) -> Figure:
    """Return a line; the baseline is the same without any account."""
    ratio = value / baseline if baseline else None
    return Figure(f"{ACCOUNTS:,} accounts on one channel: {what}", value, unit, baseline, ratio)


async def _open(bench: Bench, port: int) -> float:
    """Write every account, and return seconds until the process has the two consumers of each that it holds."""
    names = [_name(number) for number in range(ACCOUNTS)]
    bench.accounts = {name: mail_account(name, port, 1) for name in names}
    began = time.perf_counter()
    for first in range(0, ACCOUNTS, AT_ONCE):
        await asyncio.gather(*(bench.want(name, worker=True) for name in names[first : first + AT_ONCE]))
    await _consumers(bench.js, 2 * HELD)
    return time.perf_counter() - began


def _name(number: int) -> str:
    return f"acc_{number:05d}"


async def _consumers(js: JetStreamContext, count: int) -> None:
    """Wait until the channel's stream has so many consumers."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while (await _count(js)) < count:  # noqa: ASYNC110  # another process's doing
            await asyncio.sleep(0.5)


async def _count(js: JetStreamContext) -> int:
    try:
        return (await js.stream_info(STREAM)).state.consumer_count
    except (nats.errors.Error, js_errors.Error, TimeoutError):
        return -1  # so busy that it does not answer: it will


async def _idle(bench: Bench) -> list[Figure]:
    """Return what lanes without a message cost: per cent of one core."""
    before = cpu_seconds(bench.process), cpu_seconds(bench.nats)
    await asyncio.sleep(IDLE_SECONDS)
    after = cpu_seconds(bench.process), cpu_seconds(bench.nats)
    process, bus = ((b - a) / IDLE_SECONDS * 100 for a, b in zip(before, after, strict=True))
    return [
        _figure(f"idle, CPU of a channel's process with {HELD:,} lanes", process, "% of a core"),
        _figure("idle, CPU of NATS", bus, "% of a core"),
    ]


async def _bus(bench: Bench) -> list[Figure]:
    """Add the consumers that further replicas would, and measure NATS with all of them."""
    began = time.perf_counter()
    await _further_replicas(bench.nc.jetstream(timeout=300))
    made = time.perf_counter() - began
    await asyncio.sleep(5)
    ceiling = await _ceiling(bench.js)
    memory = memory_mb(bench.nats.pid)
    return [
        _figure("memory of NATS", memory, "MB"),
        _figure("consumers made for the other accounts", 2 * (ACCOUNTS - HELD) / made if made else 0, "per second"),
        _figure("ceiling of the stream", ceiling, "accounts"),
        *await _killed(bench),
    ]


async def _further_replicas(js: JetStreamContext) -> None:
    there = {info.name for info in await _all_consumers(js)}
    missing = [
        consumer_config(name, [subjects.send(Channel.EMAIL, _name(number), queue)], ack_wait_seconds=60,
                        max_ack_pending=1_000)
        for number in range(ACCOUNTS) for queue in ("now", "bulk")
        if (name := subjects.consumer(_name(number), queue)) not in there
    ]  # fmt: skip
    for first in range(0, len(missing), AT_ONCE):
        await asyncio.gather(*(js.add_consumer(STREAM, config=c) for c in missing[first : first + AT_ONCE]))


async def _all_consumers(js: JetStreamContext) -> list[nats.js.api.ConsumerInfo]:
    found: list[nats.js.api.ConsumerInfo] = []
    while page := await js.consumers_info(STREAM, offset=len(found)):
        found += page
    return found


async def _ceiling(js: JetStreamContext) -> float:
    """Return how many accounts the stream takes; where it is full, see that it refuses one consumer more."""
    limit = (await js.stream_info(STREAM)).config.max_consumers or 0
    if await _count(js) == limit:
        with pytest.raises(js_errors.APIError, match="maximum consumers limit"):
            await js.add_consumer(STREAM, config=ConsumerConfig(durable_name="more", filter_subject="cmd.email.more"))
    return limit / 2


async def _killed(bench: Bench) -> list[Figure]:
    """SIGKILL NATS; return seconds until it answers again, and until a message has gone, by the same channel process."""
    began = time.perf_counter()
    bench.server.kill()
    await asyncio.to_thread(bench.server.start, _PATIENCE_SECONDS)
    answers = time.perf_counter() - began
    async with _connected(bench) as fresh:
        await _consumers(fresh.js, 2 * ACCOUNTS)
        listed = time.perf_counter() - began
        await _first_message(fresh)
        sent = time.perf_counter() - began
    return [
        _figure("NATS listens after its SIGKILL", answers, "s"),
        _figure("NATS has every consumer after its SIGKILL", listed, "s"),
        _figure("the channel sends after the SIGKILL of NATS", sent, "s"),
    ]


@contextlib.asynccontextmanager
async def _connected(bench: Bench) -> AsyncIterator[Bench]:
    """Yield the bench on a connection of its own: the old one may have given up."""
    connection = await nats.connect(bench.server.url)
    try:
        js, pipe = connection.jetstream(timeout=30), Pipe(connection)
        await pipe.start()
        yield replace(bench, nc=connection, js=js, pipe=pipe)
    finally:
        await connection.close()


async def _first_message(bench: Bench) -> None:
    """Send one message of an account whose lane is open, and wait for its outcome."""
    leases = await bench.js.key_value(subjects.bucket("leases", Channel.EMAIL))
    held = next(key for key in sorted(await leases.keys()) if key.startswith("acc_"))
    before = (await bench.js.stream_info("INBOX")).state.messages
    await bench.queue(held, 1)
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while (await bench.js.stream_info("INBOX")).state.messages <= before:  # noqa: ASYNC110  # another process's
            await asyncio.sleep(0.1)
