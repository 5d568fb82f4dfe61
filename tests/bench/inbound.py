"""Inbound mail → conversation visible over the API, at 50 messages a second.

Mail is put into the practice mailbox, heard over IMAP IDLE by the real channel, and counts as visible when the REST list of
conversations, asked again and again, first shows it. Each mail is from somebody new: a contact and a conversation are made, which costs most.
"""

import asyncio
import time

from kurir.demo.email import ADDRESS

from tests.bench.measure import Figure, platform_on
from tests.support.live import Live

PER_SECOND, SECONDS = 50, 12
AIM_P50_MS, AIM_P99_MS = 300, 1_500
POLL_SECONDS, PATIENCE_SECONDS = 0.05, 30


async def measure(store: str) -> list[Figure]:
    """Return median and 99th percentile in milliseconds from the mailbox to the list."""
    async with platform_on(store) as kurir:
        await kurir.story.account()
        await _run(kurir, PER_SECOND, "warm")
        took = sorted(await _run(kurir, PER_SECOND * SECONDS, "mail"))
    p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
    name = f"inbound mail visible over the API, {PER_SECOND}/s"
    return [
        Figure(f"{name}: p50", p50, "ms", aim=f"<= {AIM_P50_MS} ms", met=p50 <= AIM_P50_MS, store=store),
        Figure(f"{name}: p99", p99, "ms", aim=f"<= {AIM_P99_MS} ms", met=p99 <= AIM_P99_MS, store=store),
    ]


async def _run(kurir: Live, count: int, name: str) -> list[float]:
    """Deliver at a steady pace and watch the list; return each mail's milliseconds."""
    written: dict[str, float] = {}
    seen: dict[str, float] = {}
    watcher = asyncio.create_task(_watch(kurir, count, seen, name))
    began, deliveries = time.perf_counter(), []
    for number in range(count):
        await asyncio.sleep(max(0.0, began + number / PER_SECOND - time.perf_counter()))
        deliveries.append(asyncio.create_task(_deliver(kurir, f"{name} {number}", number, written)))
    await asyncio.gather(*deliveries)
    await watcher
    return [(seen[line] - written[line]) * 1_000 for line in written]


async def _deliver(kurir: Live, line: str, number: int, written: dict[str, float]) -> None:
    sender = f"guest-{line.partition(' ')[0]}-{number}@outside.test"
    written[line] = time.perf_counter()
    await kurir.mail.inject(to=ADDRESS, sender=sender, subject="Kopi", text=f"{line}\n")


async def _watch(kurir: Live, count: int, seen: dict[str, float], name: str) -> None:
    """Note when a mail's line first stands in the list."""
    until = time.perf_counter() + count / PER_SECOND + PATIENCE_SECONDS
    while len(seen) < count:
        page = await kurir.rest.call("GET", "campaigns", "/v1/conversations", params={"limit": 200})
        now = time.perf_counter()
        for one in page["items"]:
            if str(one["preview"]).startswith(f"{name} "):
                seen.setdefault(one["preview"], now)
        assert now < until, f"{count - len(seen)} mails never showed"
        await asyncio.sleep(POLL_SECONDS)
