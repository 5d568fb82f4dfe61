"""What the servers under dispatch do alone, for nobody: marking the same ranges, publishing the same bytes."""

import asyncio
import time
from itertools import count

import nats
from servicekit.clock import utcnow
from servicekit.mongo import connect
from servicekit.settings import ServiceSettings

ROWS, AT_ONCE = 10_000, 64
SLICE_ROWS = 1_000


async def update_many(mongo_url: str) -> float:
    """Return rows per second of the marking's own `update_many`, slice by slice, over rows of the measured campaign."""
    db = connect(ServiceSettings(service="bench", mongo_url=mongo_url, mongo_db="kurir"))
    try:
        found = [one async for one in db["slices"].find({}, {"counts": 1})]
        found.sort(key=lambda one: -sum((one.get("counts") or {}).values()))
        slices = [str(one["_id"]) for one in found[: ROWS // SLICE_ROWS]]
        seconds, rows = 0.0, 0
        for name in slices:
            began = time.perf_counter()
            where = {"slice": name, "number": {"$gte": 0}, "k": {"$gte": 0}}
            marks = {"state": "benched", "batch": f"{name}.9", "k": 9, "queued_at": utcnow(), "updated_at": utcnow()}
            rows += (await db["rows"].update_many(where, {"$set": marks})).modified_count
            seconds += time.perf_counter() - began
        return rows / seconds
    finally:
        db.close()


async def publish(nats_url: str) -> float:
    """Return messages per second of nats-py's acknowledged publish, 64 at once, of the commands that were published."""
    connection = await nats.connect(nats_url)
    try:
        js = connection.jetstream()
        sequence = (await js.stream_info("COMMANDS_EMAIL")).state.last_seq
        sample = await js.get_msg("COMMANDS_EMAIL", sequence)
        await js.purge_stream("COMMANDS_EMAIL")
        numbers, headers = iter(range(ROWS)), dict(sample.headers or {})
        ids, payload = count(), sample.data or b""

        async def publisher() -> None:
            for _ in numbers:
                own = {**headers, "Nats-Msg-Id": f"bench.{next(ids)}"}
                await js.publish("cmd.email.acc_baseline.send.bulk.v1", payload, headers=own)

        began = time.perf_counter()
        await asyncio.gather(*(publisher() for _ in range(AT_ONCE)))
        return ROWS / (time.perf_counter() - began)
    finally:
        await connection.close()
