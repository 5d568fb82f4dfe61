"""Several replicas: one holder, its heir, and fair shares."""

from contracts.state import SessionStatus

from channelkit.suite.base import Rules
from channelkit.suite.rig import Replica, Rig, World, eventually


class ReplicaRules(Rules):
    """One account, one holder, whatever happens to it."""

    async def test_two_replicas_share_and_nobody_holds_twice(self, rig: Rig) -> None:
        """Also when the second comes later: the first hands over."""
        first = await rig.replica()
        for n in range(4):
            await rig.log_in(f"acc{n}")
        second = await rig.replica()

        async def shared() -> bool:
            return held(first) | held(second) == {f"acc{n}" for n in range(4)} and len(held(first)) == len(held(second))

        await eventually(shared, 20, "two accounts each")
        assert not held(first) & held(second)
        for n in range(4):
            await rig.log_in(f"acc{n}")

    async def test_a_full_replica_takes_no_more(self, rig: Rig) -> None:
        """At most `max_sessions`; the rest waits for the next replica."""
        first = await rig.replica(max_sessions=1)
        await rig.want("acc0")
        await rig.want("acc1")
        await eventually(lambda: _holds(first, 1), 10, "one account")
        second = await rig.replica()
        for n in range(2):
            await rig.log_in(f"acc{n}")
        assert len(held(first)) == len(held(second)) == 1

    async def test_the_heir_of_a_lost_replica_goes_on(self, rig: Rig, world: World) -> None:
        """The lost one knows by its own clock that it holds nothing; no message is doubled."""
        first = await rig.replica()
        await rig.log_in("acc")
        before = rig.command("acc")
        await rig.send(before)
        await rig.end(before, "sent")
        await first.cut()
        second = await rig.replica()
        after = [rig.command("acc") for _ in range(3)]
        await rig.send(*after)
        await eventually(lambda: _holds(second, 1), 15, "the heir")
        assert not held(first)
        for command in after:
            await rig.end(command, "sent", seconds=30)
        assert [await world.copies(c) for c in (before, *after)] == [1, 1, 1, 1]

    async def test_a_replica_that_leaves_is_followed_at_once(self, rig: Rig) -> None:
        """SIGTERM releases the leases."""
        first, second = await rig.replica(), await rig.replica()
        await rig.log_in("acc")
        leaver, heir = (first, second) if held(first) else (second, first)
        await rig.drop(leaver)
        await eventually(lambda: _holds(heir, 1), 2.5, "the heir, without waiting for a heartbeat to end")
        await rig.log_in("acc")
        assert (await rig.reach("acc", SessionStatus.READY)).replica == heir.manager.kit.members.replica


def held(replica: Replica) -> set[str]:
    """Return the accounts a replica may act for right now."""
    leases = replica.manager.kit.leases
    return {a for a in leases.accounts() if leases.held(a) is not None}


async def _holds(replica: Replica, count: int) -> bool:
    return len(held(replica)) == count
