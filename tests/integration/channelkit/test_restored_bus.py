"""A bus made anew knows no account until accounts has projected them: what was restored must live until then."""

import asyncio

import pytest
from channelkit.fake import FakePlatform
from channelkit.suite.rig import Rig, eventually
from contracts import subjects
from contracts.state import CursorState, LaneState, SessionStatus
from servicekit.kv import Bucket

from tests.integration.channelkit.test_fake_channel import FakeWorld


@pytest.fixture
async def rig(fresh_nats):
    made = Rig(fresh_nats.url, FakeWorld(FakePlatform()))
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def cursors(rig):
    return Bucket(rig.bus, subjects.bucket("cursors", rig.channel), CursorState)


async def test_cursors_and_lanes_of_an_account_not_yet_projected_are_kept(rig, cursors):
    lanes = Bucket(rig.bus, subjects.bucket("lanes", rig.channel), LaneState)
    await cursors.put("acc", CursorState(epoch=7, positions={"INBOX": "1:40:0"}))
    await lanes.put("acc", LaneState(epoch=7, cap_used=30))
    await rig.replica()
    await asyncio.sleep(4)  # several sweeps
    assert (await cursors.get("acc")).value.positions == {"INBOX": "1:40:0"}
    assert (await lanes.get("acc")).value.cap_used == 30
    await rig.log_in("acc")


async def test_a_bucket_that_vanished_under_a_running_replica_deletes_nothing(rig, cursors, fresh_nats):
    """Its holder sees the account gone, and no trace that anybody deleted it."""
    await rig.replica()
    await rig.log_in("acc")
    await cursors.put("acc", CursorState(positions={"INBOX": "1:40:0"}))
    await rig.bus.js.purge_stream(f"KV_{rig.accounts.name}")
    await fresh_nats_again(rig, fresh_nats)
    await asyncio.sleep(4)
    assert (await cursors.get("acc")).value.positions == {"INBOX": "1:40:0"}
    await rig.put(rig.last_wanted("acc"))
    await rig.reach("acc", SessionStatus.READY)


async def test_a_key_that_somebody_deleted_takes_its_traces_along(rig, cursors):
    await rig.replica()
    await rig.log_in("acc")
    await cursors.put("acc", CursorState(positions={"INBOX": "1:40:0"}))
    await rig.vanish("acc")

    async def gone():
        return await cursors.get("acc") is None

    await eventually(gone, 15, "the cursor to go")


async def fresh_nats_again(rig, server):
    """Restart the server, so that every watch lists again."""
    server.restart()
    await rig.bus.wait_connected()
