"""E-mail end to end: from Process pressed until every row is `sent`, beside the loop people write by hand."""

import time

from tests.bench.measure import Figure, bare_loop, fast_smtp, platform_on
from tests.support.live import Live

RECIPIENTS = 3_000
CONNECTIONS = 10


async def measure(store: str) -> list[Figure]:
    """Return messages per second end to end, with their ratio to a bare aiosmtplib loop at the same server."""
    async with fast_smtp() as port, platform_on(store) as kurir:
        ours = await end_to_end(kurir, port)
        bare = (await bare_loop(RECIPIENTS, CONNECTIONS, port))["per_second"]
    ratio = ours / bare
    aim = 2.0 if store == "secantusd-py" else 5.0
    name = f"e-mail end to end, {RECIPIENTS} rows, {CONNECTIONS} connections"
    return [
        Figure(name, ours, "messages/s", bare, ratio, f">= {aim:.0f} x a bare EmailMessage loop", ratio >= aim, store)
    ]


async def end_to_end(kurir: Live, port: int) -> float:
    """Return messages per second of one campaign."""
    story = kurir.tell(RECIPIENTS)
    smtp = {"host": "127.0.0.1", "port": port, "security": "none", "auth": "none", "from_address": "toko@practice.test"}
    settings = {"preset": "custom", "smtp": smtp, "imap": None, "messages_per_connection": 100_000}
    pace = {"per_second": None, "connections": CONNECTIONS}
    account = await story.account(settings=settings, credentials={}, pace=pace)
    contacts = await story.contacts()
    text = "Kopi Gayo sudah datang, {{ name }}. " * 8
    started = time.perf_counter()
    campaign = await story.campaign(account, contacts, text=text, html=f"<p>{text}</p>")
    await story.watch(campaign)
    return RECIPIENTS / (time.perf_counter() - started)
