"""Inbox events into outbox rows: `sent` events lie in INBOX, campaigns is started, and its rows end.

The baseline is nats-py on the same stream in the same run: fetched in hundreds and acknowledged, nothing else done.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psutil
from campaigns.campaign.store import CAMPAIGNS, machinery
from campaigns.dispatch.batch import BATCHES
from campaigns.outbox import counts
from campaigns.outbox.rows import ROWS, batch_of, new_row, of_contact, placed, slice_of
from campaigns.outbox.zones import SLICES
from contracts import subjects
from contracts.channels import Channel
from contracts.inbox import Sent
from nats.js import JetStreamContext, api
from servicekit.bus import Bus
from servicekit.clock import utcnow
from servicekit.mongo import Database, connect
from servicekit.settings import ServiceSettings

from tests.bench.measure import Figure, at_least, platform_on
from tests.support.live import Live

ROWS_OF = {"secantusd-py": 10_000}
ROWS_ELSEWHERE = 50_000
ACCOUNTS, BATCH_ROWS = 4, 500
CAMPAIGN = "c" * 24
STREAM = "INBOX"


async def measure(store: str) -> list[Figure]:
    """Return events settled into rows per second, beside a bare reader of the same events."""
    rows = ROWS_OF.get(store, ROWS_ELSEWHERE)
    async with platform_on(store) as kurir:
        await kurir.kill("channel-email")
        await kurir.terminate("campaigns")
        settings = ServiceSettings(service="campaigns", nats_url=kurir.platform.endpoints.nats_url,
                                   mongo_url=kurir.platform.endpoints.mongo_url)  # fmt: skip
        db, bus = connect(settings), Bus(settings)
        await bus.start()
        await bus.wait_connected()
        events = await _queued(db, rows)
        await _publish(bus, events)
        bare = await _bare_reader(bus.js, rows)
        ours, cpu = await _settled(kurir, bus.js, rows)
        await _until_counted(db, rows)
        await bus.stop()
        db.close()
    aim = "nats-py pull + ack"
    figure = at_least(
        f"inbox events into outbox rows, {rows:,}", ours, "events/s", baseline=bare, aim=0.4, what=aim, store=store
    )
    if store == "secantusd-py":
        figure.aim, figure.met = "", None
    return [figure, *(Figure(f"CPU of {name} per event", each * 1e6, "us", store=store) for name, each in cpu.items())]


async def _queued(db: Database, count: int) -> list[Sent]:
    """Store a campaign whose rows are all queued, and return the events that end them, in the order of a lane each."""
    now = utcnow()
    fields = {**machinery(), "kind": "campaign", "name": "bench", "channel": "email", "accounts": _accounts(),
              "status": "processing", "expansion": {"phase": "done"}, "schedule": {}, "created_at": now, "seq": 1}  # fmt: skip
    await db[CAMPAIGNS].insert_one(
        {"_id": CAMPAIGN, **fields, "numbers": dict.fromkeys(_accounts(), count // ACCOUNTS)}
    )
    events: list[Sent] = []
    for start in range(0, count, 1_000):
        part = [queued_row(number, now) for number in range(start, min(count, start + 1_000))]
        await db[ROWS].insert_many(part)
        events += [_sent(row, now) for row in part]
    slices = {slice_of(CAMPAIGN, e.account_id, e.number) for e in events}
    await db[SLICES].insert_many([{"_id": s, "gen": 0, "dirty": True, **counts.parts(s)} for s in slices])
    batches = {e.batch: e for e in events}
    await db[BATCHES].insert_many([_batch(e, now) for e in batches.values()])
    return events


def _accounts() -> list[str]:
    return [f"acc_bench{n}" for n in range(ACCOUNTS)]


def queued_row(index: int, now: datetime) -> dict[str, Any]:
    """Return one of the campaign's rows as the dispatcher leaves it: the accounts take turns."""
    account, number, key = f"acc_bench{index % ACCOUNTS}", index // ACCOUNTS, f"person-{index}@practice.test"
    k = 1 + number // BATCH_ROWS * ACCOUNTS + index % ACCOUNTS
    row = new_row(f"row{index:08d}", campaign=CAMPAIGN, account=account, channel="email", kind="campaign",
                  to={"address": key, "name": f"Siti {index}"}, key=key, now=now)  # fmt: skip
    marked = {"state": "queued", "batch": batch_of(CAMPAIGN, k), "k": k, "queued_at": now}
    return {**placed(of_contact(row, f"con{index}", {"name": f"Siti {index}"}), number, index + 1), **marked}


def _sent(row: dict[str, Any], at: datetime) -> Sent:
    return Sent(account_id=row["account"], channel=Channel.EMAIL, campaign_id=CAMPAIGN, row=row["_id"],
                batch=row["batch"], k=row["k"], number=row["number"], tries=1, at=at)  # fmt: skip


def _batch(event: Sent, now: datetime) -> dict[str, Any]:
    first = event.number // BATCH_ROWS * BATCH_ROWS
    return {"_id": event.batch, "campaign": CAMPAIGN, "account": event.account_id, "channel": "email", "k": event.k,
            "first": first, "last": first + BATCH_ROWS - 1, "not_after": now.replace(year=now.year + 1),
            "incarnation": "", "done": False}  # fmt: skip


async def _publish(bus: Bus, events: Sequence[Sent]) -> None:
    waiting = []
    for event in events:
        subject = subjects.inbox(Channel.EMAIL, event.account_id, "sent")
        data, headers = bus.envelope(event, f"{event.row}.{event.k}.sent")
        waiting.append(await bus.pipe.publish(subject, data, headers))
    await asyncio.gather(*waiting)


async def _bare_reader(js: JetStreamContext, count: int) -> float:
    """Return events per second of fetching in hundreds and acknowledging each."""
    config = api.ConsumerConfig(ack_policy=api.AckPolicy.EXPLICIT, max_ack_pending=10_000)
    pull = await js.pull_subscribe("inbox.>", "bench_bare", stream=STREAM, config=config)
    seen, started = 0, time.perf_counter()
    while seen < count:
        for msg in await pull.fetch(100, timeout=5):
            await msg.ack()
            seen += 1
    seconds = time.perf_counter() - started
    await js.delete_consumer(STREAM, "bench_bare")
    return count / seconds


async def _settled(kurir: Live, js: JetStreamContext, count: int) -> tuple[float, dict[str, float]]:
    """Start campaigns; return events per second from its first acknowledgement to its last, and each process's CPU per event."""
    await kurir.start("campaigns")
    processes = {name: psutil.Process(kurir.child(name).process.pid) for name in ("campaigns", "store", "nats")}
    first, began, before = 0, 0.0, _cpu_seconds(processes)
    while True:
        info = await js.consumer_info(STREAM, "campaigns")
        done = int(info.ack_floor.stream_seq) if info.ack_floor else 0
        if done and not began:
            first, began, before = done, time.perf_counter(), _cpu_seconds(processes)
        if done >= count:
            after, rest = _cpu_seconds(processes), count - first
            return rest / (time.perf_counter() - began), {n: (after[n] - before[n]) / rest for n in after}
        await asyncio.sleep(0.02)


def _cpu_seconds(processes: dict[str, psutil.Process]) -> dict[str, float]:
    return {name: sum(process.cpu_times()[:2]) for name, process in processes.items()}


async def _until_counted(db: Database, count: int) -> None:
    """Wait until the campaign says that every row was sent: acknowledged events are in the rows."""
    for _ in range(300):
        found = await db[CAMPAIGNS].find_one({"_id": CAMPAIGN}, {"counts": 1})
        if found and found["counts"].get("sent") == count:
            return
        await asyncio.sleep(0.2)
    raise AssertionError(found)
