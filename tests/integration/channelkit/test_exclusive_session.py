"""Where two sessions at once harm the account, the heir of a dead replica waits before it opens its own."""

import pytest
from channelkit.fake import FakeChannel, FakePlatform
from channelkit.protocol import Capabilities
from channelkit.suite.rig import Rig, eventually
from contracts.state import SessionStatus
from servicekit.clock import boottime

from tests.integration.channelkit.test_fake_channel import FakeWorld

TIMEOUT = 2.0
"""The rig's send timeout, in seconds."""


class TimedChannel(FakeChannel):
    """Writes down when it was asked to open a session, and how many were open then."""

    async def open(self, host):
        account = host.account.account_id
        self.platform.opened.append((boottime(), self.platform.open_sessions[account]))
        return await super().open(host)


class ExclusiveWorld(FakeWorld):
    def driver(self):
        return TimedChannel(self.platform, self.channel, Capabilities(exclusive_session=True))


@pytest.fixture
async def rig(fresh_nats):
    platform = FakePlatform()
    platform.opened = []
    made = Rig(fresh_nats.url, ExclusiveWorld(platform))
    await made.open()
    yield made
    await made.close()


async def inherited(rig, replica):
    async def at():
        return replica.manager.kit.leases.inherited_at("acc")

    return await eventually(at, 20, "the heir to have the lease")


async def test_the_heir_of_a_dead_replica_waits_and_says_so(rig):
    opened = rig.world.platform.opened
    first = await rig.replica()
    await rig.log_in("acc")
    await first.cut()
    heir = await rig.replica()
    since = await inherited(rig, heir)

    async def waiting():
        state = await rig.state("acc")
        return state.status is SessionStatus.CONNECTING and state.reason == "waiting for the former holder"

    await eventually(waiting, 10, "the word that it waits")
    assert len(opened) == 1
    await rig.log_in("acc")
    assert len(opened) == 2
    assert opened[1][0] >= since + TIMEOUT
    assert [others for _, others in opened] == [0, 0]


async def test_a_waiting_heir_obeys_who_turns_the_account_off(rig):
    first = await rig.replica()
    await rig.log_in("acc")
    await first.cut()
    heir = await rig.replica()
    await inherited(rig, heir)
    await rig.want("acc", status="inactive")
    await rig.reach("acc", SessionStatus.OFF)
    assert len(rig.world.platform.opened) == 1


async def test_who_follows_a_replica_that_left_does_not_wait(rig):
    first = await rig.replica()
    await rig.log_in("acc")
    await rig.drop(first)
    left = boottime()
    heir = await rig.replica()

    async def again():
        return len(rig.world.platform.opened) == 2

    await eventually(again, 15, "the next session")
    assert heir.manager.kit.leases.inherited_at("acc") is None
    assert rig.world.platform.opened[1][1] == 0
    assert rig.world.platform.opened[1][0] > left
