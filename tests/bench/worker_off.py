"""Worker off: what the mail server still accepts after REST has answered, in the middle of a campaign at full speed."""

import asyncio
import time

from practice import fastsmtp

from tests.bench.measure import Figure, fast_smtp, platform_on, stores
from tests.support.live import Live

CONNECTIONS = 10
ROUNDS = 5
WARM_SECONDS = 1.5
QUIET_SECONDS = 2.0
"""Nothing may come for so long before it counts as off; a lease or a watch would have had its turn by then."""
ROWS = {0: 40_000, 20: 12_000}
"""By round trip in milliseconds: enough that the lane never runs out of messages."""


async def measure() -> list[Figure]:
    """Return, at no round trip and at one of 20 ms, the worst of several switches; on the best store: none is asked."""
    found = []
    async with platform_on(stores()[0]) as kurir:
        for rtt_ms, rows in ROWS.items():
            async with fast_smtp(rtt_ms) as port:
                found += await _figures(kurir, port, rtt_ms, rows)
    return found


async def _figures(kurir: Live, port: int, rtt_ms: int, rows: int) -> list[Figure]:
    account = await _sending(kurir, port, rows)
    switches = [await _switch_off(kurir, account, port) for _ in range(ROUNDS)]
    await kurir.rest.call("PUT", "accounts", f"/v1/accounts/{account}/worker", json={"on": False})
    after, late = (max(values) for values in zip(*switches, strict=True))
    where = f"worker off, round trip {rtt_ms} ms, worst of {ROUNDS}"
    aim = f"<= {CONNECTIONS} (one per connection)"
    return [
        Figure(f"{where}: accepted after the answer", after, "messages", aim=aim, met=after <= CONNECTIONS),
        Figure(f"{where}: the last of them", late * 1000, "ms"),
    ]


async def _sending(kurir: Live, port: int, rows: int) -> str:
    """Return an account in the middle of a campaign."""
    story = kurir.tell(rows)
    smtp = {"host": "127.0.0.1", "port": port, "security": "none", "auth": "none", "from_address": "toko@practice.test"}
    settings = {"preset": "custom", "smtp": smtp, "imap": None, "messages_per_connection": 100_000}
    pace = {"per_second": None, "connections": CONNECTIONS}
    account = await story.account(settings=settings, credentials={}, pace=pace)
    await story.campaign(account, await story.contacts())
    while not (await fastsmtp.ask("127.0.0.1", port))["received"]:  # noqa: ASYNC110  # another process's doing
        await asyncio.sleep(0.05)
    return account


async def _switch_off(kurir: Live, account: str, port: int) -> tuple[float, float]:
    """Return messages and seconds from REST's answer to the last; raises where nothing was being sent."""
    path = f"/v1/accounts/{account}/worker"
    await kurir.rest.call("PUT", "accounts", path, json={"on": True})
    await asyncio.sleep(WARM_SECONDS)
    before = time.monotonic()
    await kurir.rest.call("PUT", "accounts", path, json={"on": False})
    answered = time.monotonic()
    assert (await fastsmtp.ask("127.0.0.1", port, before - 0.5))["after"], "nothing was being sent"
    last = answered
    while time.monotonic() - last < QUIET_SECONDS:
        await asyncio.sleep(0.2)
        last = max(answered, (await fastsmtp.ask("127.0.0.1", port, answered))["last"])
    return (await fastsmtp.ask("127.0.0.1", port, answered))["after"], last - answered
