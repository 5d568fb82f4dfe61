"""E-mail end to end: from Process pressed until every row is `sent`, beside the loop people write by hand.

And what that wrote to the store, as the campaigns service counted it: documents, and in which kind of write.
"""

import time

from prometheus_client.parser import text_string_to_metric_families

from tests.bench.measure import Figure, at_least, bare_loop, fast_smtp, platform_on
from tests.support.live import Live

SIZES = {"secantusd-py": 3_000}
DEFAULT_SIZE = 10_000
BARE, CONNECTIONS = 2_000, 10
WRITES_AIM = 2.0
Written = dict[tuple[str, ...], float]
"""By metric, collection and kind."""


async def measure(store: str) -> list[Figure]:
    """Return messages per second with their ratio to the loop (run before and after), and the store's writes."""
    rows = SIZES.get(store, DEFAULT_SIZE)
    async with fast_smtp() as port, platform_on(store) as kurir:
        account = await _account(kurir, port)
        await _send(kurir, account, 500)  # warm
        bare = (await bare_loop(BARE, CONNECTIONS, port))["per_second"]
        ours, wrote = await _send(kurir, account, rows)
        bare = (bare + (await bare_loop(BARE, CONNECTIONS, port))["per_second"]) / 2
    name, what = f"e-mail end to end, {rows:,} rows, {CONNECTIONS} connections", "a bare EmailMessage loop"
    aim = 2.0 if store == "secantusd-py" else 5.0
    first = at_least(name, ours, "messages/s", baseline=bare, aim=aim, what=what, store=store)
    return [first, *_writes(wrote, rows, store)]


async def _account(kurir: Live, port: int) -> str:
    smtp = {"host": "127.0.0.1", "port": port, "security": "none", "auth": "none", "from_address": "toko@practice.test"}
    settings = {"preset": "custom", "smtp": smtp, "imap": None, "messages_per_connection": 100_000}
    pace = {"per_second": None, "connections": CONNECTIONS}
    return await kurir.tell(1).account(settings=settings, credentials={}, pace=pace)


async def _send(kurir: Live, account: str, rows: int) -> tuple[float, Written]:
    """Return messages per second of one campaign and what it wrote; its contacts are imported before."""
    story = kurir.tell(rows)
    contacts = await story.contacts()
    before = await written(kurir)
    text = "Kopi Gayo sudah datang, {{ name }}. " * 8
    started = time.perf_counter()
    campaign = await story.campaign(account, contacts, text=text, html=f"<p>{text}</p>")
    await story.watch(campaign)
    rate = rows / (time.perf_counter() - started)
    return rate, {key: value - before.get(key, 0) for key, value in (await written(kurir)).items()}


async def written(kurir: Live) -> Written:
    """Return what campaigns has counted of its writes so far."""
    answer = await kurir.rest.http.get(f"{kurir.platform.state()['services']['campaigns']}/metrics")
    found: Written = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            if sample.name.startswith("kurir_store_wr") and sample.name.endswith("_total"):
                found[sample.name, sample.labels["collection"], sample.labels.get("kind", "")] = sample.value
    return found


def _writes(wrote: Written, rows: int, store: str) -> list[Figure]:
    def total(metric: str, collection: str = "", kind: str = "") -> float:
        return sum(
            value for (name, where, what), value in wrote.items()
            if name == f"kurir_store_{metric}_total" and collection in ("", where) and kind in ("", what)
        )  # fmt: skip

    own, every = total("written", "rows") / rows, total("written") / rows
    return [
        Figure("store writes per message: its row", own, "documents", aim="<= 2", met=own <= WRITES_AIM, store=store),
        Figure("store writes per message: everything", every, "documents", store=store),
        Figure("write commands per 1,000 messages", total("write_commands") / rows * 1e3, "commands", store=store),
        Figure("range updates of rows per 1,000 messages", total("write_statements", "rows", "range") / rows * 1e3,
               "updates", store=store),
        Figure("single updates of rows per 1,000 messages", total("write_statements", "rows", "one") / rows * 1e3,
               "updates", store=store),
    ]  # fmt: skip
