"""Heartbeats and leases on a real NATS."""

import asyncio

import pytest
from channelkit.leases import Leases
from channelkit.members import Members
from channelkit.settings import ChannelSettings
from channelkit.suite.rig import eventually
from contracts import subjects
from contracts.channels import Channel
from contracts.state import Lease
from contracts.topology import topology
from servicekit import topology as server_topology
from servicekit.kv import BucketWatch

CHANNEL = Channel.TELEGRAM


class One:
    """A replica's membership and leases."""

    def __init__(self, bus, **settings) -> None:
        quick = ChannelSettings(heartbeat_ttl_seconds=2, **settings)
        self.members = Members(bus, CHANNEL, quick)
        self.leases = Leases(bus, CHANNEL, self.members)
        self.watch = BucketWatch(bus, subjects.bucket("leases", CHANNEL), Lease, self.leases.seen)
        self.task = asyncio.create_task(self.watch.run())

    async def look(self):
        await self.watch.ready.wait()
        await self.members.beat(0)
        await self.members.look()
        await self.leases.affirm()


@pytest.fixture
async def replicas(bus):
    await server_topology.apply(bus.js, topology([CHANNEL]))
    made = []

    def make(**settings):
        made.append(One(bus, **settings))
        return made[-1]

    yield make
    for one in made:
        one.task.cancel()


async def test_one_of_two_gets_a_lease_and_the_epoch_rises_with_each_holder(replicas):
    one, two = replicas(), replicas()
    await one.look()
    await two.look()
    assert sorted(await asyncio.gather(one.leases.acquire_one("acc"), two.leases.acquire_one("acc"))) == [False, True]
    winner, loser = (one, two) if one.leases.held("acc") else (two, one)
    first = winner.leases.held("acc")
    await winner.leases.release("acc")
    assert winner.leases.held("acc") is None
    assert await loser.leases.acquire_one("acc")
    assert loser.leases.held("acc") == first + 1
    assert loser.leases.inherited_at("acc") is None


async def test_what_a_dead_replica_held_is_inherited_and_the_heir_knows(replicas):
    one, two = replicas(), replicas()
    await one.look()
    assert await one.leases.acquire_one("acc")
    first = one.leases.held("acc")
    await two.look()
    assert not await two.leases.acquire_one("acc")
    await asyncio.sleep(2.5)
    await two.look()
    assert one.leases.held("acc") is None
    assert await two.leases.acquire_one("acc")
    assert two.leases.held("acc") == first + 1
    assert two.leases.inherited_at("acc") is not None
    await one.look()
    assert one.leases.held("acc") is None
    assert one.leases.accounts() == []


async def test_a_replica_that_came_a_moment_ago_is_not_taken_for_dead(replicas):
    """Two start together: what one of them saw of the members is older than what the other holds."""
    one, two = replicas(), replicas()
    await one.look()
    await two.look()
    assert await two.leases.acquire_one("acc")
    assert not await one.leases.acquire_one("acc")
    assert two.leases.held("acc") is not None


async def test_a_lease_lost_with_its_bucket_is_noticed(replicas, bus):
    """A bucket made anew counts its revisions from 1; the epochs rise all the same."""
    one, two = replicas(), replicas()
    for replica in (one, two):
        await replica.look()
    for _ in range(5):
        assert await one.leases.acquire_one("acc")
        await one.leases.release("acc")
    assert await one.leases.acquire_one("acc")
    await bus.js.delete_stream("KV_leases_telegram")
    await server_topology.apply(bus.js, topology([CHANNEL]))
    await two.members.look()
    assert await two.leases.acquire_one("acc")
    await one.watch._list_again()

    async def noticed():
        return one.leases.accounts() == []

    await eventually(noticed, 5, "the loss to be noticed")


async def test_who_lapsed_alone_takes_its_own_leases_again_under_a_new_epoch(replicas):
    one = replicas()
    await one.look()
    assert await one.leases.acquire_one("acc")
    first = one.leases.held("acc")
    await asyncio.sleep(2.5)
    assert one.leases.held("acc") is None
    await one.members.beat(0)
    assert one.leases.held("acc") is None, "a late heartbeat alone does not give a lease back"
    await one.look()
    assert one.leases.held("acc") == first + 1
    assert one.leases.inherited_at("acc") is None


async def test_a_replica_takes_its_share_and_hands_over_the_rest(replicas):
    one, two = replicas(), replicas()
    wanted = [f"acc{n}" for n in range(10)]
    await one.look()
    assert len(await one.leases.acquire(wanted)) == 10
    await two.look()
    await one.look()
    surplus = one.leases.too_many(set(wanted))
    assert len(surplus) == 5
    for account_id in surplus:
        await one.leases.release(account_id)
    await asyncio.sleep(0.1)
    assert len(await two.leases.acquire(wanted)) == 5
    assert len(await one.leases.acquire(wanted)) == 0


async def test_no_more_than_there_is_room_for(replicas):
    one = replicas(max_sessions=3)
    await one.look()
    assert len(await one.leases.acquire([f"acc{n}" for n in range(10)])) == 3
