"""10,000 accounts on one channel: what NATS and the channel's process take, and how they come back from a SIGKILL."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import nats
import pytest
from contracts import subjects
from contracts.channels import Channel
from nats.js import JetStreamContext
from nats.js import errors as js_errors
from nats.js.api import ConsumerConfig
from servicekit.pipe import Pipe

from tests.bench.channel import Account, Bench, channel, cpu_seconds
from tests.bench.measure import Figure, fast_smtp, memory_mb

ACCOUNTS = int(os.environ.get("BENCH_ACCOUNTS", "10000"))
STREAM = subjects.commands_stream(Channel.EMAIL)
AT_ONCE = 200
IDLE_SECONDS = 20.0
_PATIENCE_SECONDS = 1_800.0


async def measure() -> list[Figure]:
    """Return the figures of so many accounts in one process, each with its lane open and nothing to send."""
    async with channel(CHANNEL_EMAIL_MAX_SESSIONS=str(ACCOUNTS)) as bench, fast_smtp() as port:
        nats_before, channel_before = memory_mb(bench.nats.pid), memory_mb(bench.process.pid)
        opened = await _open(bench, port)
        await asyncio.sleep(5)
        lanes = [
            _figure("every lane open after", opened, "s"),
            _figure("memory of NATS", memory_mb(bench.nats.pid), "MB", nats_before),
            _figure("memory of the channel's process", memory_mb(bench.process.pid), "MB", channel_before),
            *await _idle(bench),
            _figure("ceiling of the stream", await _ceiling(bench.js), "accounts"),
        ]
        return [*lanes, *await _killed(bench)]


def _figure(what: str, value: float, unit: str, baseline: float | None = None) -> Figure:
    """Return a line; the baseline is the same without any account."""
    ratio = value / baseline if baseline else None
    return Figure(f"{ACCOUNTS:,} accounts on one channel: {what}", value, unit, baseline, ratio)


async def _open(bench: Bench, port: int) -> float:
    """Write every account, and return seconds until each has its two consumers."""
    names = [f"acc_{number:05d}" for number in range(ACCOUNTS)]
    bench.accounts = {name: Account(name, port, 1) for name in names}
    began = time.perf_counter()
    for first in range(0, ACCOUNTS, AT_ONCE):
        await asyncio.gather(*(bench.want(name, worker=True) for name in names[first : first + AT_ONCE]))
    await _consumers(bench.js, 2 * ACCOUNTS)
    return time.perf_counter() - began


async def _consumers(js: JetStreamContext, count: int) -> None:
    """Wait until the channel's stream has so many consumers."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while (await _count(js)) < count:  # noqa: ASYNC110  # another process's doing
            await asyncio.sleep(1)


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
    channel_percent, nats_percent = ((b - a) / IDLE_SECONDS * 100 for a, b in zip(before, after, strict=True))
    return [
        _figure("idle, CPU of the channel's process", channel_percent, "% of a core"),
        _figure("idle, CPU of NATS", nats_percent, "% of a core"),
    ]


async def _ceiling(js: JetStreamContext) -> float:
    """Return how many accounts the stream takes, having seen it refuse one consumer too many."""
    limit = (await js.stream_info(STREAM)).config.max_consumers or 0
    have = await _count(js)
    if have == limit:
        with pytest.raises(js_errors.APIError, match="maximum consumers limit"):
            await js.add_consumer(STREAM, config=ConsumerConfig(durable_name="more", filter_subject="cmd.email.more"))
    return limit / 2


async def _killed(bench: Bench) -> list[Figure]:
    """SIGKILL NATS; return seconds until it answers again, and until a message of the last account has gone."""
    began = time.perf_counter()
    bench.server.kill()
    await asyncio.to_thread(bench.server.start, _PATIENCE_SECONDS)
    answers = time.perf_counter() - began
    async with _connected(bench) as fresh:
        await _consumers(fresh.js, 2 * ACCOUNTS)
        listed = time.perf_counter() - began
        sent = await _first_message(fresh)
    return [
        _figure("NATS listens after its SIGKILL", answers, "s"),
        _figure("NATS has every consumer after its SIGKILL", listed, "s"),
        _figure("a message is sent after its SIGKILL", sent + listed, "s"),
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


async def _first_message(bench: Bench) -> float:
    """Return seconds until a command published now has its outcome in INBOX."""
    began, name = time.perf_counter(), f"acc_{ACCOUNTS - 1:05d}"
    before = (await bench.js.stream_info("INBOX")).state.messages
    await bench.queue(name, 1)
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while (await bench.js.stream_info("INBOX")).state.messages <= before:  # noqa: ASYNC110  # another process's doing
            await asyncio.sleep(0.1)
    return time.perf_counter() - began
