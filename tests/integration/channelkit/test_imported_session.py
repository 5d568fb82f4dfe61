"""A session that a person uploaded is taken over by whoever holds the account, once, and never over a newer one."""

import pytest
from channelkit.fake import FakePlatform
from channelkit.suite.rig import Rig, eventually
from contracts import sealing
from contracts.state import ImportedSession, SessionStatus
from servicekit.objects import ObjectBucket
from servicekit.secrets import SealError

from .test_fake_channel import FakeWorld
from .test_hosting import ACCOUNT, host, kit, new_host

__all__ = ["host", "kit"]
IMPORTED = b"a profile from a person's own computer"


async def imported(bus, sealer, *, version: int, account: str = "acc", data: bytes = IMPORTED) -> ImportedSession:
    """Put an imported session where accounts puts it."""
    sealed = sealer.seal(data, sealing.imported(account, "imp_1"))
    name = await ObjectBucket(bus, "vault").put(sealed.encode(), {"kurir-import": "imp_1"})
    return ImportedSession(id="imp_1", object=name, login_version=version)


def opened_for(kit, given: ImportedSession | None, login_version: int):
    made = new_host(kit)
    made.account = ACCOUNT.model_copy(
        update={"version": login_version, "login_version": login_version, "session_import": given}
    )
    return made


async def objects(bus) -> set[str]:
    return {stored.id async for stored in ObjectBucket(bus, "vault").all()}


async def test_it_is_offered_until_a_session_is_saved_and_then_gone_for_good(kit):
    given = await imported(kit.bus, kit.sealer, version=2)
    for _ in range(2):  # a crash before it was taken over
        assert await opened_for(kit, given, 2).imported_session() == IMPORTED
    await opened_for(kit, given, 2).save_session(b"the session that came of it")
    assert await opened_for(kit, given, 2).imported_session() is None
    assert given.object not in await objects(kit.bus)
    assert await opened_for(kit, given, 3).load_session() == b"the session that came of it"


async def test_the_session_that_makes_way_is_saved_as_it_closes_and_does_not_outrank_it(kit):
    old = opened_for(kit, None, 1)
    given = await imported(kit.bus, kit.sealer, version=2)
    await old.save_session(b"the old session, closed after the import was completed")
    assert await opened_for(kit, given, 2).imported_session() == IMPORTED


async def test_an_import_never_replaces_a_session_of_a_later_login(kit):
    given = await imported(kit.bus, kit.sealer, version=2)
    await opened_for(kit, None, 3).save_session(b"logged in anew, the import unseen")
    assert await opened_for(kit, given, 3).imported_session() is None
    assert given.object in await objects(kit.bus)


async def test_without_an_import_there_is_none_and_a_removed_one_is_none(kit, host):
    assert await host.imported_session() is None
    given = await imported(kit.bus, kit.sealer, version=2)
    await kit.vault.drop_import(given)
    assert await opened_for(kit, given, 2).imported_session() is None


async def test_one_that_is_refused_is_said_in_the_state_and_offered_no_more(kit):
    given = await imported(kit.bus, kit.sealer, version=2)
    await (refusing := opened_for(kit, given, 2)).refuse_import("it is no archive")
    state = await kit.sessions.get(ACCOUNT.account_id)
    assert state.value.refused_import == given.id
    assert await refusing.imported_session() is None
    assert given.object not in await objects(kit.bus)


async def test_another_accounts_import_does_not_open(kit):
    given = await imported(kit.bus, kit.sealer, version=2, account="acc_other")
    with pytest.raises(SealError):
        await opened_for(kit, given, 2).imported_session()


class TestTakenOver:
    """On a channel that asks for a QR scan."""

    @pytest.fixture
    async def rig(self, fresh_nats):
        made = Rig(fresh_nats.url, FakeWorld(FakePlatform(scans=True)))
        await made.open()
        yield made
        await made.close()

    async def test_an_account_waiting_for_a_scan_becomes_ready_without_one_on_another_replica_too(self, rig: Rig):
        await rig.replica()
        await rig.replica()
        await rig.want("acc")
        await rig.reach("acc", SessionStatus.AWAITING_QR)
        given = await imported(rig.bus, rig.sealer, version=2)
        await rig.want("acc", new_login=True, session_import=given)
        await rig.reach("acc", SessionStatus.READY)

        async def consumed() -> bool:
            return given.object not in await objects(rig.bus)

        await eventually(consumed)
        assert rig.world.platform.logins["acc"] == 2
        await rig.drop(rig.replicas[0])
        await rig.want("acc", status="inactive")
        await rig.reach("acc", SessionStatus.OFF)
        await rig.want("acc", status="active")
        await rig.reach("acc", SessionStatus.READY)
        assert await rig.replicas[0].manager.kit.vault.load("acc") == IMPORTED

    async def test_deleting_an_account_removes_an_import_nobody_took_over(self, rig: Rig):
        await rig.replica()
        given = await imported(rig.bus, rig.sealer, version=1)
        await rig.want("acc", session_import=given, status="inactive")
        await rig.reach("acc", SessionStatus.OFF)
        await rig.want("acc", status="deleting")
        await rig.reach("acc", SessionStatus.DELETED)
        assert not await objects(rig.bus)
