"""Two replicas of the channel: the heir of a frozen or killed one goes on, and no attempt is sent twice."""

import asyncio
import json
import time

import pytest
from kurir.demo.rest import wait_for

from tests.support.load import CONNECTIONS, begun

TAKEOVER_SECONDS = 20
SEND_TIMEOUT_SECONDS = 10
SLACK_SECONDS = 8
"""For opening a session and the first message, on a busy machine."""


@pytest.fixture
async def leases(kurir):
    connection = await kurir.bus()
    yield await connection.jetstream().key_value("leases_email")
    await connection.close()


async def holder(leases, account):
    """Return the name of the process that holds an account."""
    replica = json.loads((await leases.get(account)).value)["replica"]
    return "channel-email-2" if replica.startswith("channel-email-2-") else "channel-email"


async def handed_over(leases, account, lost):
    async def is_elsewhere():
        return await holder(leases, account) != lost

    started = time.monotonic()
    await wait_for("another holder", is_elsewhere, TAKEOVER_SECONDS + 10, every=0.1)
    return time.monotonic() - started


async def connections(kurir):
    """Return how many messages each connection to the mail server has brought, by its client's port."""
    return {c["peer"]: c["messages"] for c in (await kurir.mail.deliveries())["connections"]}


@pytest.mark.full
async def test_the_heir_of_a_frozen_replica_sends_and_the_thawed_one_does_not(kurir, leases):
    await kurir.replica("channel-email")
    load = await begun(kurir, 400)
    frozen = await holder(leases, load.account)
    kurir.freeze(frozen)
    await asyncio.sleep(1)
    before = await connections(kurir)
    received = await kurir.received()
    assert await handed_over(leases, load.account, frozen) <= TAKEOVER_SECONDS
    inherited = time.monotonic()
    await kurir.until_received(received + 1)
    waited = time.monotonic() - inherited
    assert SEND_TIMEOUT_SECONDS - 3 <= waited <= SEND_TIMEOUT_SECONDS + SLACK_SECONDS
    kurir.thaw(frozen)
    await load.reconcile(unknown=CONNECTIONS)
    after = await connections(kurir)
    assert {peer: after[peer] for peer in before} == before, "a thawed lane must send nothing more"


@pytest.mark.full
async def test_a_frozen_replica_without_an_heir_goes_on_when_it_thaws(kurir):
    load = await begun(kurir, 400)
    kurir.freeze("channel-email")
    await asyncio.sleep(20)
    kurir.thaw("channel-email")
    await load.reconcile()


@pytest.mark.full
async def test_the_heir_of_a_killed_replica_goes_on(kurir, leases):
    await kurir.replica("channel-email")
    load = await begun(kurir, 400)
    lost = await holder(leases, load.account)
    await kurir.kill(lost)
    received = await kurir.received()
    assert await handed_over(leases, load.account, lost) <= TAKEOVER_SECONDS
    await kurir.until_received(received + 1, SEND_TIMEOUT_SECONDS + SLACK_SECONDS)
    await load.reconcile(unknown=CONNECTIONS)
