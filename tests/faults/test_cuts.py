"""One service cut from the bus or the store while the others are not: it heals by itself, nothing is lost or doubled."""

import asyncio

import pytest

from tests.support.load import begun
from tests.support.proxy import proxied

LONGER_THAN_A_LEASE = 18
SMALL_WINDOW = {"CAMPAIGNS_WINDOW_SECONDS": "1"}
"""So that most of a campaign is not yet dispatched when its service is cut off."""


async def test_the_channel_cut_from_the_bus_sends_nothing_and_heals(kurir, rounds):
    with proxied(kurir.child("nats").port) as bus:
        await kurir.through("channel-email", nats=bus)
        load = await begun(kurir, 300)
        bus.cut()
        await asyncio.sleep(3)
        stopped_at = await kurir.received()
        await asyncio.sleep(rounds(2, 7))
        assert await kurir.received() == stopped_at, "what cannot be claimed must not be sent"
        assert (await kurir.health("channel-email"))[0] == 503
        bus.heal()
        await load.reconcile()


@pytest.mark.full
async def test_the_channel_in_a_black_hole_for_longer_than_a_lease(kurir):
    with proxied(kurir.child("nats").port) as bus:
        await kurir.through("channel-email", nats=bus)
        load = await begun(kurir, 300)
        bus.black_hole()
        await asyncio.sleep(LONGER_THAN_A_LEASE)
        stopped_at = await kurir.received()
        await asyncio.sleep(3)
        assert await kurir.received() == stopped_at
        bus.heal()
        await load.reconcile()


@pytest.mark.full
@pytest.mark.parametrize("far", ["nats", "store"])
@pytest.mark.parametrize("fault", ["cut", "black_hole"])
async def test_campaigns_cut_off_in_the_middle_of_a_dispatch(kurir, far, fault):
    with proxied(kurir.child(far).port) as link:
        await kurir.change("campaigns", **SMALL_WINDOW)
        await kurir.through("campaigns", **{"nats" if far == "nats" else "mongo": link})
        load = await begun(kurir, 300)
        getattr(link, fault)()
        await asyncio.sleep(LONGER_THAN_A_LEASE)
        assert await kurir.received() < load.story.recipients
        link.heal()
        await load.reconcile()


@pytest.mark.full
async def test_accounts_in_a_black_hole_does_not_stop_a_campaign(kurir):
    with proxied(kurir.child("nats").port) as bus, proxied(kurir.child("store").port) as store:
        await kurir.through("accounts", nats=bus, mongo=store)
        load = await begun(kurir, 300)
        bus.black_hole()
        store.black_hole()
        await load.reconcile()
        bus.heal()
        store.heal()
        await kurir.ready("accounts", seconds=30)
