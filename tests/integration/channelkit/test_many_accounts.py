"""A stream takes 1,000 consumers by default; a channel has two for each account."""

import asyncio

from channelkit.fake import FakePlatform
from channelkit.suite.rig import Rig, eventually
from contracts import subjects
from contracts.state import SessionStatus

from tests.integration.channelkit.test_fake_channel import FakeWorld

ACCOUNTS = 1_001


async def test_1001_accounts_on_one_channel_send_each_its_message(fresh_nats):
    rig = Rig(fresh_nats.url, FakeWorld(FakePlatform()), heartbeat_ttl_seconds=15, heartbeat_every_seconds=5)
    await rig.open()
    try:
        names = [f"acc{number}" for number in range(ACCOUNTS)]
        await asyncio.gather(*(rig.want(name) for name in names))
        await rig.replica()
        await eventually(lambda: all_ready(rig), 120, "every account to be ready")
        commands = {name: rig.command(name) for name in names}
        await rig.send(*commands.values())
        await eventually(lambda: all_sent(rig, commands), 120, "every message to be sent")
        info = await rig.bus.js.stream_info(subjects.commands_stream(rig.channel))
        assert info.state.consumer_count == 2 * ACCOUNTS
    finally:
        await rig.close()


async def all_ready(rig):
    states = (await rig.sessions.items()).values()
    return len([s for s in states if s.value.status is SessionStatus.READY]) == ACCOUNTS


async def all_sent(rig, commands):
    return all([await rig.world.copies(command) == 1 for command in commands.values()])
