"""The disk of the bus is full: nothing is sent that could not be written down, and it goes on once there is room."""

import asyncio

import pytest
from kurir.demo.rest import wait_for

from tests.support import disk
from tests.support.load import CONNECTIONS, begun
from tests.support.supervised import restarted, supervised


@pytest.mark.full
async def test_a_bus_whose_disk_is_full_is_started_anew_and_goes_on(kurir):
    bus = kurir.child("nats")
    bus.command = disk.writes_may_fail(bus.command)
    await kurir.restart("nats")
    await kurir.ready()
    load = await begun(kurir, 500)
    async with supervised(kurir):
        disk.fill(bus.pid)
        in_flight = await kurir.received() + CONNECTIONS
        await asyncio.sleep(10)
        assert await kurir.received() <= in_flight, "what cannot be claimed must not be sent"
        await wait_for("the supervisor to start it anew", lambda: restarted(bus), 40)
        await load.reconcile()
