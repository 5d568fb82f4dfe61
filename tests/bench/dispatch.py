"""Dispatch: rows rendered, marked and published with acknowledgement, beside what store and bus do alone.

No channel takes part: the accounts' states are written as their holder would, and the commands stay in their queues. The
accounts are ready only once every row is stored pending, so that nothing but dispatch is measured.
"""

import asyncio
import time

import psutil
from contracts import subjects
from contracts.channels import Channel
from contracts.state import DesiredAccount, SessionState, SessionStatus
from kurir.demo.rest import wait_for
from nats.js import JetStreamContext
from servicekit.clock import utcnow

from tests.bench import baselines
from tests.bench.channel import cpu_seconds
from tests.bench.measure import Figure, at_least, at_most, memory_mb, platform_on
from tests.bench.memory import highest
from tests.support.live import Live

PER_ACCOUNT = 2_000
"""The window of an account without a pace: so many rows are dispatched ahead of any outcome."""
SIZES = {"secantusd-py": (2_000, 10_000)}
DEFAULT_SIZES = (10_000, 100_000)
FEW = 1_000
AIM, FLAT, GROWS_MB = 0.6, 1.15, 20.0
PROCESSES = ("campaigns", "store", "nats")


async def measure(store: str) -> list[Figure]:
    """Return rows per second beside both baselines, the cost per row, and the memory, few rows beside many."""
    cost: dict[int, dict[str, float]] = {}
    found: list[Figure] = []
    grown = 0.0
    for rows in SIZES.get(store, DEFAULT_SIZES):
        async with platform_on(store) as kurir:
            await kurir.kill("channel-email")
            await _one(kurir, ["acc_warm"], FEW)  # what is loaded once is no campaign's cost
            accounts = [f"acc_bench{number}" for number in range(rows // PER_ACCOUNT + 3 + rows // 8_000)]
            rate, spent, grown = await _one(kurir, accounts, rows)
            found += await _beside(kurir, store, rows, rate)
            cost[rows] = spent
    few, many = cost
    memory = Figure(
        f"memory of campaigns, {FEW:,} to {many:,} rows",
        grown,
        "MB more",
        aim="< 20 MB",
        met=grown < GROWS_MB,
        store=store,
    )
    return [*found, *_flat(cost[few], cost[many], f"{few:,} to {many:,} rows", store), memory]


async def _one(kurir: Live, accounts: list[str], rows: int) -> tuple[float, dict[str, float], float]:
    """Dispatch one campaign; return rows per second, CPU microseconds per row by process, and MB campaigns grew by."""
    connection = await kurir.bus()
    stream = connection.jetstream()
    await stream.purge_stream("COMMANDS_EMAIL")
    await _pretend(stream, accounts, SessionStatus.CONNECTING)
    pid = kurir.child("campaigns").process.pid
    story = kurir.tell(rows)
    contacts, before = await story.contacts(), memory_mb(pid)
    async with highest(pid) as peak:
        campaign = await story.campaign(accounts[0], contacts, accounts=accounts)
        await wait_for("the rows", lambda: _pending(kurir, campaign, rows), 60 + rows / 200)
        await kurir.rest.call("POST", "campaigns", f"/v1/campaigns/{campaign}/pause")
        await _pretend(stream, accounts, SessionStatus.READY)  # all at once, not while it looks at them
        spent = _cpu(kurir)
        await kurir.rest.call("POST", "campaigns", f"/v1/campaigns/{campaign}/resume")
        seconds, rest = await _until_published(stream, rows)
    cost = {name: (cpu - spent[name]) / rows * 1e6 for name, cpu in _cpu(kurir).items()}
    await connection.close()
    return rest / seconds, cost, peak[0] - before


async def _pending(kurir: Live, campaign: str, rows: int) -> bool:
    counts = (await kurir.rest.call("GET", "campaigns", f"/v1/campaigns/{campaign}"))["counts"]
    return bool(counts.get("pending") == rows)


def _cpu(kurir: Live) -> dict[str, float]:
    return {name: cpu_seconds(psutil.Process(kurir.child(name).process.pid)) for name in PROCESSES}


async def _pretend(stream: JetStreamContext, names: list[str], status: SessionStatus) -> None:
    """Write accounts and their sessions, as their holder would."""
    desired = await stream.key_value(subjects.bucket("accounts", Channel.EMAIL))
    sessions = await stream.key_value(subjects.bucket("sessions", Channel.EMAIL))
    for name in names:
        now = utcnow()
        wanted = DesiredAccount(account_id=name, channel=Channel.EMAIL, version=1, status="active")
        state = SessionState(
            account_id=name, channel=Channel.EMAIL, status=status, since=now, updated_at=now, last_proof_of_life=now
        )  # fmt: skip
        await desired.put(name, wanted.model_dump_json().encode())
        await sessions.put(name, state.model_dump_json().encode())
    await asyncio.sleep(1)


async def _until_published(stream: JetStreamContext, rows: int) -> tuple[float, int]:
    """Return seconds and rows from the first command seen in the stream to the last."""
    first, began = 0, 0.0
    while True:
        count = (await stream.stream_info("COMMANDS_EMAIL")).state.messages
        if count and not began:
            first, began = count, time.perf_counter()
        if count >= rows:
            return max(1e-9, time.perf_counter() - began), rows - first
        await asyncio.sleep(0.02)


async def _beside(kurir: Live, store: str, rows: int, rate: float) -> list[Figure]:
    """Return the rate beside what the store's `update_many` and nats-py's `publish` make on the same servers."""
    marked = await baselines.update_many(kurir.platform.endpoints.mongo_url)
    published = await baselines.publish(kurir.platform.endpoints.nats_url)
    what = f"the slower of update_many ({marked:,.0f}/s) and js.publish, 64 at once ({published:,.0f}/s)"
    figure = at_least(
        f"dispatch, {rows:,} rows", rate, "rows/s", baseline=min(marked, published), aim=AIM, what=what, store=store
    )
    if store == "secantusd-py":
        figure.aim, figure.met = f"none here; beside {what}", None
    return [figure]


def _flat(few: dict[str, float], many: dict[str, float], sizes: str, store: str) -> list[Figure]:
    name, words = f"CPU per dispatched row, {sizes}", "the small campaign's"
    whole = at_most(
        f"{name}: all", sum(many.values()), "us", baseline=sum(few.values()), aim=FLAT, what=words, store=store
    )
    return [
        whole,
        *(Figure(f"{name}: {one}", many[one], "us", few[one], many[one] / few[one], store=store) for one in many),
    ]
