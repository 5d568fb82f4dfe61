"""Dispatch: rows rendered, marked and published with acknowledgement, per second; and the memory it takes.

No channel takes part: the accounts' states are written as their holder would, and the commands stay in their queues.
"""

import asyncio
import time

from contracts import subjects
from contracts.channels import Channel
from contracts.state import DesiredAccount, SessionState, SessionStatus
from nats.js import JetStreamContext
from servicekit.clock import utcnow

from tests.bench.measure import Figure, memory_mb, platform_on
from tests.support.live import Live

PER_ACCOUNT = 2_000
"""The window of an account without a pace: so many rows are dispatched ahead of any outcome."""
SIZES = {"secantusd-py": (2_000, 10_000)}
DEFAULT_SIZES = (10_000, 100_000)


async def measure(store: str) -> list[Figure]:
    """Return rows per second and memory of the campaigns process at two sizes."""
    found = []
    for rows in SIZES.get(store, DEFAULT_SIZES):
        async with platform_on(store) as kurir:
            found += await _one(kurir, store, rows)
    return found


async def _one(kurir: Live, store: str, rows: int) -> list[Figure]:
    connection = await kurir.bus()
    stream = connection.jetstream()
    await kurir.kill("channel-email")
    accounts = await _pretend_accounts(stream, rows // PER_ACCOUNT + 3 + rows // 8_000)
    story = kurir.tell(rows)
    contacts = await story.contacts()
    before = memory_mb(kurir.child("campaigns").process.pid)
    campaign = await story.campaign(accounts[0], contacts, accounts=accounts)
    seconds, rest = await _until_published(stream, rows)
    after = memory_mb(kurir.child("campaigns").process.pid)
    await connection.close()
    found = await kurir.rest.call("GET", "campaigns", f"/v1/campaigns/{campaign}")
    assert sum(found["counts"].values()) >= rows, found
    return [
        Figure(f"dispatch, {rows:,} rows", rest / seconds, "rows/s", store=store),
        Figure(f"memory of campaigns, {rows:,} rows", after - before, "MB more", store=store),
    ]


async def _pretend_accounts(stream: JetStreamContext, count: int) -> list[str]:
    desired = await stream.key_value(subjects.bucket("accounts", Channel.EMAIL))
    sessions = await stream.key_value(subjects.bucket("sessions", Channel.EMAIL))
    names = [f"acc_bench{number}" for number in range(count)]
    for name in names:
        wanted = DesiredAccount(account_id=name, channel=Channel.EMAIL, version=1, status="active")
        now = utcnow()
        state = SessionState(
            account_id=name, channel=Channel.EMAIL, status=SessionStatus.READY, since=now, updated_at=now, last_proof_of_life=now
        )  # fmt: skip
        await desired.put(name, wanted.model_dump_json().encode())
        await sessions.put(name, state.model_dump_json().encode())
    await asyncio.sleep(1)
    return names


async def _until_published(stream: JetStreamContext, rows: int) -> tuple[float, int]:
    """Return seconds and rows from the first command seen in the stream to the last."""
    first, began = 0, 0.0
    while True:
        count = (await stream.stream_info("COMMANDS_EMAIL")).state.messages
        if count and not began:
            first, began = count, time.perf_counter()
        if count >= rows:
            return max(1e-9, time.perf_counter() - began), rows - first
        await asyncio.sleep(0.05)
