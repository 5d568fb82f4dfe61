"""Both sync modes of NATS, taking turns: what acknowledging only what is on the disk costs."""

import asyncio
import time

from tests.bench.channel import Bench, channel
from tests.bench.measure import Figure, fast_smtp

MODES = ("1s", "always")
ROUNDS = 2
PUBLISHED, LANE = 5_000, 3_000
_PAYLOAD = b"x" * 600
_SUBJECT = "evt.bench.message.measured.v1"


async def measure() -> list[Figure]:
    """Return acknowledged publishes and the lane's messages per second; `always` beside `1s`."""
    published: dict[str, list[float]] = {mode: [] for mode in MODES}
    sent: dict[str, list[float]] = {mode: [] for mode in MODES}
    async with fast_smtp() as port:
        for _ in range(ROUNDS):
            for mode in MODES:
                async with channel(mode) as bench:
                    published[mode].append(await _published(bench))
                    sent[mode].append(await _sent(bench, port))
    return [
        *_pair("NATS, acknowledged publishes, 1,000 at once", "per second", published),
        *_pair("lane, 10 connections", "messages/s", sent),
    ]


def _pair(what: str, unit: str, found: dict[str, list[float]]) -> list[Figure]:
    often, always = (max(found[mode]) for mode in MODES)
    return [
        Figure(f"{what}, sync_interval 1s", often, unit),
        Figure(f"{what}, sync_interval always", always, unit, often, always / often),
    ]


async def _published(bench: Bench) -> float:
    began = time.perf_counter()
    await asyncio.gather(*[await bench.pipe.publish(_SUBJECT, _PAYLOAD) for _ in range(PUBLISHED)])
    return PUBLISHED / (time.perf_counter() - began)


async def _sent(bench: Bench, port: int) -> float:
    await bench.account("acc_sync", port, 10)
    await bench.run("acc_sync", 300)  # warm
    return (await bench.run("acc_sync", LANE)).per_second
