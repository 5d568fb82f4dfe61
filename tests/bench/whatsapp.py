"""WhatsApp on the practice page, by the whole platform: QR code to ready, messages a second, memory, and giving it back."""

import asyncio
import statistics
import time

import psutil
from channelkit.browser import processes
from contracts.channels import Channel
from kurir.background import platform
from kurir.demo.rest import wait_for
from kurir.demo.whatsapp import WhatsAppStory
from kurir.home import Home
from kurir.platform import Options, Platform
from kurir.tokens import issue
from rich.console import Console

from tests.bench.measure import Figure, folder

AT = (1, 5, 10)
ROWS = 100
MARGINAL_MB = 130.0
GIVEN_BACK, GIVEN_BACK_SECONDS = 0.95, 2.0
_SETTLE_SECONDS = 8.0


async def measure() -> list[Figure]:
    """Return what accounts of WhatsApp take, one browser each, in the service that a deployment runs."""
    options = Options(practice=True, any_ports=True, channels=(Channel.WHATSAPP,))
    with folder() as path:
        async with platform(Home(path / "kurir"), options) as kurir:
            return [*await _memory(kurir), await _speed(kurir)]


def _story(kurir: Platform, recipients: int = 1) -> WhatsAppStory:
    time.sleep(1.01)  # a story's number is the second it begins in
    return WhatsAppStory(kurir.state(), issue(kurir.keys, "admin", 1), recipients, Console(quiet=True))


async def _memory(kurir: Platform) -> list[Figure]:
    accounts: list[str] = []
    seconds: list[float] = []
    totals = {0: await _service_mb(kurir)}
    while len(accounts) < max(AT):
        story, began = _story(kurir), time.perf_counter()
        accounts.append(await story.account())
        seconds.append(time.perf_counter() - began)
        if len(accounts) in AT:
            await asyncio.sleep(_SETTLE_SECONDS)
            totals[len(accounts)] = await _service_mb(kurir)
    marginal = (totals[AT[-1]] - totals[AT[0]]) / (AT[-1] - AT[0])
    back = [await _given_back(kurir, account) for account in accounts]
    each = {n: (mb - totals[0]) / n for n, mb in totals.items() if n}
    return [
        Figure("WhatsApp: from a new account to ready, QR code scanned", statistics.median(seconds), "s"),
        *(Figure(f"WhatsApp: memory per account, {n} of them", mb, "MB PSS") for n, mb in each.items()),
        Figure(
            "WhatsApp: memory of one more account", marginal, "MB PSS",
            aim=f"<= {MARGINAL_MB:g} MB", met=marginal <= MARGINAL_MB,
        ),
        Figure(
            "WhatsApp: of its memory, back 2 s after deactivating", min(back) * 100, "%",
            aim=f">= {GIVEN_BACK:.0%}", met=min(back) >= GIVEN_BACK,
        ),
    ]  # fmt: skip


async def _given_back(kurir: Platform, account: str) -> float:
    """Return the share of an account's memory that is back 2 s after `deactivate` was sent.

    Its memory is its browser's; what service and driver take more afterwards counts as kept. What other accounts'
    pages allocate and collect meanwhile (some 10 MB up and down) is theirs.
    """
    profile = kurir.home.folder / "profiles" / account / "profile"
    browsers = await asyncio.to_thread(processes.browsers_of, profile)
    assert browsers, f"no browser runs on {profile}"
    own, rest = await asyncio.to_thread(processes.pss_bytes, browsers), await _without_browsers_mb(kurir)
    story = _story(kurir)
    await story.rest.call("POST", "accounts", f"/v1/accounts/{account}/deactivate")
    await asyncio.sleep(GIVEN_BACK_SECONDS)
    browsers += await asyncio.to_thread(processes.browsers_of, profile)
    kept = await asyncio.to_thread(processes.pss_bytes, browsers)
    return 1 - (kept / 1e6 + max(0.0, await _without_browsers_mb(kurir) - rest)) / (own / 1e6)


async def _speed(kurir: Platform) -> Figure:
    """Return messages a second of one account without a pause, from Process pressed until every row is sent."""
    story = _story(kurir, ROWS)
    account = await story.account()
    await story.expect_people()
    contacts = await story.contacts()
    before, began = await story.total(), time.perf_counter()
    campaign = await story.campaign(account, contacts)

    async def all_there() -> bool:
        return await story.total() >= before + ROWS - len(story.never)

    await wait_for("every message", all_there, 300, every=0.1)
    rate = ROWS / (time.perf_counter() - began)
    await story.watch(campaign)
    return Figure(f"WhatsApp: one account, {ROWS} rows, the pace without a pause", rate, "messages/s")


async def _service_mb(kurir: Platform) -> float:
    """Return the PSS of the service, Playwright's driver and every browser together."""
    return await asyncio.to_thread(lambda: processes.pss_bytes([_service(kurir)]) / 1e6)


async def _without_browsers_mb(kurir: Platform) -> float:
    service = _service(kurir)
    own = await asyncio.to_thread(lambda: [service, *service.children()])
    return sum(process.memory_full_info().pss for process in own) / 1e6


def _service(kurir: Platform) -> psutil.Process:
    return psutil.Process(next(c.pid for c in kurir.children if c.name == "channel-whatsapp"))
