"""Cost per message of small campaigns and of a large one: CPU time of the processes a message passes through."""

import asyncio

import psutil

from tests.bench.measure import Figure, fast_smtp, platform_on
from tests.support.live import Live

SMALL, ROUNDS = 1_000, 3
LARGE = {"secantusd-py": 10_000}
DEFAULT_LARGE = 100_000
FLAT = 1.15
OURS = ("campaigns", "channel-email")
BESIDE = ("store", "nats")
Cpu = dict[str, float]
"""Microseconds per message, by process."""


async def measure(store: str) -> list[Figure]:
    """Return the large campaign's cost beside that of the small ones."""
    rows = LARGE.get(store, DEFAULT_LARGE)
    async with fast_smtp() as port, platform_on(store) as kurir:
        account = await _account(kurir, port)
        await _cost(kurir, account, SMALL)  # warm
        small = [await _cost(kurir, account, SMALL) for _ in range(ROUNDS)]
        large = await _cost(kurir, account, rows)
    few = {name: sum(one[name] for one in small) / ROUNDS for name in large}
    return _figures(few, large, f"{SMALL:,} to {rows:,} rows", store)


def _figures(few: Cpu, large: Cpu, sizes: str, store: str) -> list[Figure]:
    def line(what: str, names: tuple[str, ...], *, aim: bool = False) -> Figure:
        value, before = (sum(cpu[name] for name in names) for cpu in (large, few))
        ratio = value / before
        words, met = ("<= 1.15 x the small ones'", ratio <= FLAT) if aim else ("", None)
        return Figure(f"CPU per message, {sizes}: {what}", value, "us", before, ratio, words, met, store)

    return [
        line("campaigns and channel", OURS, aim=True),
        line("with store and bus", OURS + BESIDE, aim=True),
        *(line(name, (name,)) for name in OURS + BESIDE),
    ]


async def _account(kurir: Live, port: int) -> str:
    smtp = {"host": "127.0.0.1", "port": port, "security": "none", "auth": "none", "from_address": "toko@practice.test"}
    settings = {"preset": "custom", "smtp": smtp, "imap": None, "messages_per_connection": 100_000}
    pace = {"per_second": None, "connections": 10}
    return await kurir.tell(1).account(settings=settings, credentials={}, pace=pace)


async def _cost(kurir: Live, account: str, rows: int) -> Cpu:
    """Send one campaign and return what it took; the contacts are imported before."""
    story = kurir.tell(rows)
    contacts = await story.contacts()
    await _settled(kurir)
    before = _cpu(kurir)
    await story.watch(await story.campaign(account, contacts))
    return {name: (spent - before[name]) / rows * 1e6 for name, spent in _cpu(kurir).items()}


async def _settled(kurir: Live) -> None:
    """Wait until the store has done with the import: what it writes behind is not the messages' cost."""
    for _ in range(30):
        before = _cpu(kurir)["store"]
        await asyncio.sleep(2)
        if _cpu(kurir)["store"] - before < 0.1:
            return


def _cpu(kurir: Live) -> Cpu:
    return {name: _seconds(kurir.child(name).process.pid) for name in OURS + BESIDE}


def _seconds(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
