"""The end of accounts, and what belongs to none."""

from contracts import subjects
from contracts.state import SessionStatus

from channelkit.suite.base import Rules
from channelkit.suite.rig import Rig, World, eventually


class RemovalRules(Rules):
    """Nothing of a deleted account stays, and no message of it without an end."""

    async def test_deleting_drains_logs_out_and_cleans(self, rig: Rig, world: World) -> None:
        """Each waiting message fails as account_deleted; the state goes with the desired one."""
        await rig.replica()
        await rig.log_in("acc")
        await rig.want("acc", worker=False)
        await rig.reach("acc", SessionStatus.READY)
        waiting = [rig.command("acc") for _ in range(20)]
        await rig.send(*waiting)
        await rig.want("acc", status="deleting")
        await rig.reach("acc", SessionStatus.DELETED)
        for command in waiting:
            assert (await rig.end(command, "failed"))["reason"] == "account_deleted"
            assert await world.copies(command) == 0
        assert await rig.waiting("acc") == 0
        assert (await rig.statuses("acc"))[-1] == SessionStatus.DELETED
        await rig.vanish("acc")
        await eventually(lambda: _traceless(rig, "acc"), 15, "the last traces to go")

    async def test_commands_of_an_account_that_does_not_exist_end(self, rig: Rig) -> None:
        """They fail, and what no version knows is dead-lettered."""
        await rig.replica()
        command = rig.command("nobody")
        await rig.send(command)
        strange = f"cmd.{rig.channel}.acc.send.bulk.v9"
        await rig.bus.publish(strange, b"from the future")
        assert (await rig.end(command, "failed"))["reason"] == "account_deleted"

        async def lettered() -> bool:
            return await rig.dead_letters() == [(subjects.dead_letter(strange), b"from the future")]

        await eventually(lettered, 15, "the dead letter")
        assert await rig.waiting("acc") == 0

    async def test_an_account_deleted_while_nobody_held_it_goes_too(self, rig: Rig) -> None:
        """The next replica does it."""
        replica = await rig.replica()
        await rig.log_in("acc")
        await rig.drop(replica)
        await rig.want("acc", status="deleting")
        command = rig.command("acc")
        await rig.send(command)
        await rig.replica()
        await rig.reach("acc", SessionStatus.DELETED)
        assert (await rig.end(command, "failed"))["reason"] == "account_deleted"


async def _traceless(rig: Rig, account_id: str) -> bool:
    for kind in ("sessions", "leases", "lanes", "cursors"):
        keys = await rig.keys(kind)
        if any(key.split(".")[0] == account_id for key in keys):
            return False
    consumers = await rig.bus.js.consumers_info(subjects.commands_stream(rig.channel))
    return not any(account_id in (c.name or "") for c in consumers)
