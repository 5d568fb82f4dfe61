"""While the bus is away its accounts do not each say so: thousands of them would bury the line that matters."""

import asyncio

import structlog
from channelkit.fake import FakePlatform
from channelkit.suite.rig import Rig

from tests.integration.channelkit.test_fake_channel import FakeWorld

ACCOUNTS = 20


async def test_accounts_and_lanes_wait_for_the_bus_without_a_line_each(fresh_nats):
    rig = Rig(fresh_nats.url, FakeWorld(FakePlatform()))
    await rig.open()
    try:
        await rig.replica()
        names = [f"acc{number}" for number in range(ACCOUNTS)]
        for name in names:
            await rig.log_in(name)
        with structlog.testing.capture_logs() as lines:
            fresh_nats.kill()
            await asyncio.sleep(6)
        fresh_nats.start()
        of_accounts = [line for line in lines if line.get("account")]
        assert len(of_accounts) <= 2 * ACCOUNTS, of_accounts[-3:]  # half a second's worth each, of six
    finally:
        await rig.close()
