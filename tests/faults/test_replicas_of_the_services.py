"""Two replicas of campaigns and of accounts: one may be killed or freeze, and come back, in the middle of its work."""

import asyncio

import pytest
from kurir.demo.rest import wait_for

pytestmark = pytest.mark.full

PACE = {"per_second": 30, "connections": 4}
SMALL_WINDOW = {"CAMPAIGNS_WINDOW_SECONDS": "1"}
"""So that the dispatcher is needed all along."""
HANDOVER_SECONDS = 25
"""A dispatcher's lease of 15 s, and some messages."""


def ask(kurir, story, name):
    """Let a story and the test itself use one replica's REST API."""
    service = name.removesuffix("-2")
    for rest in (story.rest, kurir.rest):
        rest.services = {**rest.services, service: f"http://127.0.0.1:{kurir.child(name).port}"}


async def goes_on(kurir, story):
    received = await kurir.received()
    assert received < story.recipients - 60, "there must be something left to dispatch"
    await kurir.until_received(received + 60, HANDOVER_SECONDS)


async def test_dispatch_sweep_and_results_go_on_whichever_campaigns_replica_freezes_or_dies(kurir):
    await kurir.change("campaigns", **SMALL_WINDOW)
    await kurir.replica("campaigns")
    story = kurir.tell(700)
    ask(kurir, story, "campaigns-2")
    account = await story.account(pace=PACE)
    campaign = await story.campaign(account, await story.contacts())
    await kurir.until_received(30)
    kurir.freeze("campaigns")
    await goes_on(kurir, story)
    kurir.thaw("campaigns")
    await goes_on(kurir, story)
    await kurir.ready("campaigns")
    ask(kurir, story, "campaigns")
    await kurir.kill("campaigns-2")
    await goes_on(kurir, story)
    await story.watch(campaign)
    books = await kurir.books(campaign, story)
    assert (books.sent, books.unknown, books.failed, books.cancelled) == (700, 0, 0, 0)
    assert (books.platform_received, books.duplicates) == (700, 0)


async def worker_is(kurir, account, state):
    return (await kurir.rest.call("GET", "accounts", f"/v1/accounts/{account}/session")).get("worker") == state


async def switched(kurir, account, *, on):
    """Switch a worker and wait until the channel says so: through store, projection and bucket."""
    await kurir.rest.call("PUT", "accounts", f"/v1/accounts/{account}/worker", json={"on": on})
    await wait_for("the lane to obey", lambda: worker_is(kurir, account, "on" if on else "off"), 20)


async def test_what_one_accounts_replica_was_told_the_other_carries_out(kurir):
    await kurir.replica("accounts")
    story = kurir.tell(20)
    ask(kurir, story, "accounts-2")
    account = await story.account()
    kurir.freeze("accounts")
    await switched(kurir, account, on=False)
    second = await story.account(name="Second")
    kurir.thaw("accounts")
    ask(kurir, story, "accounts")
    await kurir.ready("accounts")
    await asyncio.sleep(1)
    assert await worker_is(kurir, account, "off"), "the thawed one must not project what is old"
    await kurir.kill("accounts-2")
    await switched(kurir, account, on=True)
    await kurir.rest.call("DELETE", "accounts", f"/v1/accounts/{second}")

    async def is_gone():
        answer = await kurir.rest.http.get(f"{kurir.rest.services['accounts']}/v1/accounts/{second}")
        return answer.status_code == 404

    await wait_for("the second account to go", is_gone, 40)
