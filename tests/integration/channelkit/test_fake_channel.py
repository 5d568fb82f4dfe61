"""The fake channel passes the contract every channel inherits, and shows what needs faults on demand."""

# ruff: noqa: ARG002  # a world is asked by account; here all are alike

import pytest
from channelkit.contract import ChannelContract
from channelkit.fake import FakeChannel, FakePlatform
from channelkit.suite.rig import Rig, eventually
from contracts import ids
from contracts.channels import Channel
from contracts.state import SessionStatus
from servicekit.errors import Permanent, Retry


class FakeWorld:
    """The fake platform as the suite needs it."""

    channel = Channel.TELEGRAM

    def __init__(self, platform) -> None:
        self.platform = platform
        self._addresses = 0

    def driver(self):
        return FakeChannel(self.platform, self.channel)

    def settings(self, account_id):
        return {"phone": "+628888888888"}

    def credentials(self, account_id):
        return {"password": self.platform.password}

    def wrong_login(self, account_id):
        return {"credentials": {"password": "wrong"}}

    async def right_answer(self, account_id):
        return self.platform.code

    def password(self, account_id):
        return self.platform.second_password

    async def scan(self, account_id):
        await self.platform.scan(account_id)

    def address(self, behaviour):
        self._addresses += 1
        address = f"user{self._addresses}"
        fault = {"refuses": Permanent("blocked", "USER_IS_BLOCKED"), "defers": Retry(0.2, "SLOWMODE_WAIT")}
        if behaviour in fault:
            self.platform.faults[address].append(fault[behaviour])
        return address

    async def copies(self, command):
        return self.platform.copies(ids.platform_key(command.row, command.wanted, 0))

    async def write_to(self, account_id, text):
        await self.platform.write_to(account_id, "customer", text)


class TestFakeChannel(ChannelContract):
    """Without a login."""

    @pytest.fixture
    def world(self):
        return FakeWorld(FakePlatform())

    async def test_a_session_that_does_not_answer_is_degraded_and_sends_nothing(self, rig: Rig, world):
        await rig.replica()
        await rig.log_in("acc")
        world.platform.silent = True
        state = await rig.reach("acc", SessionStatus.DEGRADED)
        assert "does not answer" in state.reason
        command = rig.command("acc")
        await rig.send(command)
        world.platform.silent = False
        await rig.reach("acc", SessionStatus.READY)
        await rig.end(command, "sent")

    async def test_a_closed_session_gives_everything_back(self, rig: Rig, world):
        await rig.replica()
        await rig.log_in("acc")
        await rig.want("acc", status="inactive")
        await rig.reach("acc", SessionStatus.OFF)
        assert world.platform.open_sessions["acc"] == 0

    async def test_a_restart_of_nats_changes_nothing(self, rig: Rig, world, fresh_nats):
        await rig.replica()
        before = await rig.log_in("acc")
        fresh_nats.kill()
        fresh_nats.start()
        await eventually(_true(lambda: rig.bus.connected), 10, "the bus")
        commands = [rig.command("acc") for _ in range(3)]
        await rig.send(*commands)
        for command in commands:
            await rig.end(command, "sent")
            assert await world.copies(command) == 1
        await rig.want("acc", worker=False)
        assert (await rig.reach("acc", SessionStatus.READY)).since == before.since

    async def test_an_outage_longer_than_a_heartbeat_ends_in_a_new_session_of_the_same_replica(
        self, rig: Rig, world, fresh_nats
    ):
        replica = await rig.replica()
        await rig.log_in("acc")
        fresh_nats.kill()
        await eventually(_true(lambda: not replica.manager.runners["acc"].live), 10, "the session to be given up")
        fresh_nats.start()
        await eventually(_true(lambda: rig.bus.connected), 10, "the bus")
        command = rig.command("acc")
        await rig.send(command)
        await rig.end(command, "sent")
        assert world.platform.logins["acc"] == 2
        assert world.platform.open_sessions["acc"] == 1

    async def test_a_failed_login_is_tried_again_with_pauses(self, rig: Rig, world):
        world.platform.unreachable = True
        await rig.replica()
        await rig.want("acc")
        state = await rig.reach("acc", SessionStatus.FAILED)
        assert "cannot be reached" in state.reason
        await eventually(_true(lambda: world.platform.logins["acc"] > 2), 10, "more tries")
        world.platform.unreachable = False
        await rig.reach("acc", SessionStatus.READY)


def _true(probe):
    async def ask():
        return probe()

    return ask


class TestFakeChannelWithAScan(ChannelContract):
    """With a QR at login."""

    @pytest.fixture
    def world(self):
        return FakeWorld(FakePlatform(scans=True))


class TestFakeChannelWithACode(ChannelContract):
    """With a code and a second password at login, and a platform that deduplicates."""

    @pytest.fixture
    def world(self):
        return FakeWorld(FakePlatform(code="12345", second_password="two", deduplicates=True))

    async def test_a_kept_session_needs_no_second_code(self, rig: Rig, world):
        replica = await rig.replica()
        await rig.log_in("acc")
        await rig.drop(replica)
        await rig.replica()

        async def again():
            state = await rig.state("acc")
            return state and state.status == SessionStatus.READY and world.platform.logins["acc"] == 2

        await eventually(again, 15, "a login without a code")
        assert (await rig.statuses("acc")).count(SessionStatus.AWAITING_CODE) == 1

    async def test_an_account_that_is_off_is_logged_out_too(self, rig: Rig, world):
        await rig.replica()
        await rig.log_in("acc")
        await rig.want("acc", status="inactive")
        await rig.reach("acc", SessionStatus.OFF)
        await rig.want("acc", status="deleting")
        await rig.reach("acc", SessionStatus.DELETED)
        assert world.platform.logged_out == ["acc"]
        assert world.platform.open_sessions["acc"] == 0

    async def test_deleting_logs_out_and_empties_the_vault(self, rig: Rig, world):
        await rig.replica()
        await rig.log_in("acc")
        assert "acc.vault" in await rig.keys("cursors")
        await rig.want("acc", status="deleting")
        await rig.reach("acc", SessionStatus.DELETED)
        assert world.platform.logged_out == ["acc"]
        assert "acc.vault" not in await rig.keys("cursors")
        assert await rig.stored("OBJ_vault", "$O.vault.>") == []
