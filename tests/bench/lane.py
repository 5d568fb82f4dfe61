"""The lane: command in the stream → accepted by SMTP → `sent` event, beside the loop people write by hand.

The real service on a real NATS; no store in the way. Baselines and lane take turns, so that a busy machine slows both.
"""

from tests.bench.channel import Bench, channel
from tests.bench.measure import Figure, at_least, at_most, bare_loop, fast_smtp

CONNECTIONS = 10
ROUNDS = 3
COUNT, READY_COUNT, BUILT_COUNT = 8_000, 5_000, 1_500
RTT_MS = 20
FAR_COUNT, FAR_READY_COUNT = 3_000, 600
_READY, _BUILT = "the loop with ready bytes", "the loop building EmailMessage"


async def measure() -> list[Figure]:
    """Return the lane's three figures: on a near server, on a far one, and its CPU per message."""
    async with channel() as bench:
        async with fast_smtp() as port:
            near = await _near(bench, port)
        async with fast_smtp(RTT_MS) as port:
            return [*near, await _far(bench, port)]


async def _near(bench: Bench, port: int) -> list[Figure]:
    await bench.account("acc_near", port, CONNECTIONS)
    await bench.run("acc_near", 500)  # warm
    lanes, ready, built = [], [], []
    for _ in range(ROUNDS):
        built.append((await bare_loop(BUILT_COUNT, CONNECTIONS, port))["per_second"])
        ready.append(await bare_loop(READY_COUNT, CONNECTIONS, port, ready=True))
        lanes.append(await bench.run("acc_near", COUNT))
    speed, cpu = _middle([one.per_second for one in lanes]), _middle([one.cpu_us for one in lanes])
    ready_cpu, ready_speed = _middle([one["cpu_us"] for one in ready]), _middle([one["per_second"] for one in ready])
    name = f"lane, {CONNECTIONS} connections"
    nats_cpu = _middle([one.nats_cpu_us for one in lanes])
    return [
        at_least(name, speed, "messages/s", baseline=_middle(built), aim=8, what=_BUILT),
        at_least(f"{name}, beside ready bytes", speed, "messages/s", baseline=ready_speed, aim=0.9, what=_READY),
        at_most("lane, CPU of the channel's process", cpu, "us/message", baseline=ready_cpu, aim=1, what=_READY),
        Figure("lane, CPU of NATS beside it", nats_cpu, "us/message"),
    ]


async def _far(bench: Bench, port: int) -> Figure:
    await bench.account("acc_far", port, CONNECTIONS)
    ready = (await bare_loop(FAR_READY_COUNT, CONNECTIONS, port, ready=True))["per_second"]
    speed = (await bench.run("acc_far", FAR_COUNT)).per_second
    return at_least(
        f"lane, {CONNECTIONS} connections, {RTT_MS} ms away", speed, "messages/s", baseline=ready, aim=3, what=_READY
    )


def _middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]
