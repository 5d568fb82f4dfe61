"""The store is down, or its disk is full: requests are told to come back, sending goes on, nothing is lost."""

import asyncio

import pytest
from kurir.demo.rest import wait_for

from tests.support import disk
from tests.support.load import begun
from tests.support.supervised import restarted, supervised

SMALL_WINDOW = {"CAMPAIGNS_WINDOW_SECONDS": "1"}
REQUESTS = [
    ("campaigns", "GET", "/v1/campaigns"),
    ("campaigns", "POST", "/v1/lists"),
    ("campaigns", "GET", "/v1/conversations"),
    ("accounts", "GET", "/v1/accounts"),
]


async def refused(kurir):
    """Check that requests of every kind are told when to come back. Each waits 5 s for the store: ask all at once."""
    names = ("campaigns", "accounts", "channel-email")
    _, health = await asyncio.gather(
        asyncio.gather(*(_refused(kurir, *request) for request in REQUESTS)),
        asyncio.gather(*(kurir.health(name) for name in names)),
    )
    assert [status for status, _ in health] == [503, 503, 200]


async def _refused(kurir, service, method, path):
    body = {"json": {"name": "List of a bad day"}} if method == "POST" else {}
    answer = await kurir.rest.http.request(method, f"{kurir.rest.services[service]}{path}", **body)
    assert answer.status_code == 503, (path, answer.text)
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.json()["reason"] in {"unavailable", "store_broken", "store_refuses"}


async def test_a_store_that_is_down_is_waited_for(kurir, rounds):
    await kurir.change("campaigns", **SMALL_WINDOW)
    load = await begun(kurir, 300)
    await kurir.kill("store")
    await refused(kurir)
    await asyncio.sleep(rounds(0, 50))
    await refused(kurir)
    assert await kurir.received() < 300, "there must be something left to do"
    await kurir.start("store")
    await load.reconcile()


@pytest.mark.full
async def test_a_store_whose_disk_is_full_is_started_anew_and_goes_on(kurir):
    store = kurir.child("store")
    store.command = disk.writes_may_fail(store.command)
    await kurir.restart("store")
    await kurir.change("campaigns", **SMALL_WINDOW)
    load = await begun(kurir, 400)
    async with supervised(kurir):
        disk.fill(store.pid)
        await wait_for("the store to give up", lambda: health_is(kurir, "campaigns", 503), 20, every=0.1)
        await refused(kurir)
        assert await kurir.received() < 400, "there must be something left to do"
        await wait_for("the supervisor to start it anew", lambda: restarted(store), 30)
        await load.reconcile()


async def health_is(kurir, name, status):
    return (await kurir.health(name))[0] == status
