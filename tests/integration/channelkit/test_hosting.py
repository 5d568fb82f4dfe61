"""What a session may ask of its host, and the vault, on a real NATS."""

from datetime import UTC, datetime, timedelta

import pytest
from channelkit.fake import FakeChannel, FakePlatform
from channelkit.hosting import SessionHost
from channelkit.lane_memory import LaneMemory
from channelkit.manager import ChannelManager
from channelkit.protocol import Credentials
from channelkit.reporting import Reporter
from channelkit.settings import ChannelSettings
from contracts import subjects
from contracts.channels import Channel
from contracts.commands import Recipient
from contracts.inbox import Received
from contracts.state import DesiredAccount, SessionStatus
from contracts.topology import topology
from servicekit import stream_reader
from servicekit import topology as server_topology
from servicekit.errors import Conflict, Permanent
from servicekit.secrets import SealError, channel_sealer, generate_key

CHANNEL = Channel.TELEGRAM
ACCOUNT = DesiredAccount(account_id="acc", channel=CHANNEL, version=1, status="active")


@pytest.fixture
async def kit(bus):
    await server_topology.apply(bus.js, topology([CHANNEL]))
    settings = ChannelSettings(
        service="channel-telegram", sealing_keys=generate_key(), address_hmac_keys="one", heartbeat_ttl_seconds=60
    )
    kit = ChannelManager(bus, CHANNEL, FakeChannel(FakePlatform()), settings).kit
    await kit.members.beat(0)
    await kit.members.look()
    assert await kit.leases.acquire_one("acc")
    return kit


@pytest.fixture
def host(kit):
    return new_host(kit)


def new_host(kit):
    reporter = Reporter(kit.bus, kit.journal, CHANNEL, "acc", kit.members.replica, sealer=kit.sealer)
    return SessionHost(kit, reporter, ACCOUNT, Credentials({"password": "geheim"}), lambda _: None)


def received(text):
    return Received(
        id="m1", account_id="acc", channel=CHANNEL, platform_id="1", sender=Recipient(address="peer"),
        conversation="peer", at=datetime.now(UTC), text=text,
    )  # fmt: skip


async def stored(kit, stream, subject):
    return [m async for m in stream_reader.read(kit.bus.js, stream, subject)]


async def test_the_cursor_moves_with_the_lease_and_not_without(kit, host):
    assert await host.cursor() == {}
    await host.save_cursor({"INBOX": "7"})
    await host.save_cursor({"INBOX": "8"})
    assert await new_host(kit).cursor() == {"INBOX": "8"}
    await kit.leases.release("acc")
    with pytest.raises(Conflict):
        await host.save_cursor({"INBOX": "9"})
    assert await new_host(kit).cursor() == {"INBOX": "8"}


async def test_cursors_and_lanes_restored_from_a_backup_obey_the_leases_of_a_new_bus(kit, host):
    """Cursors and lanes come back from a backup, leases never do: their epochs begin anew, and still rise."""
    for _ in range(3):  # holders came and went
        await kit.leases.release("acc")
        assert await kit.leases.acquire_one("acc")
    memory = LaneMemory(kit.bus, CHANNEL, "acc", lambda: kit.leases.held("acc"))
    await memory.load()
    await host.save_cursor({"INBOX": "7"})
    await memory.write(cap_used=5)
    await kit.bus.js.purge_stream("KV_leases_telegram")
    await kit.leases.forget("acc")
    assert await kit.leases.acquire_one("acc")
    heir = new_host(kit)
    await heir.save_cursor({**await heir.cursor(), "Junk": "1"})
    assert await heir.cursor() == {"INBOX": "7", "Junk": "1"}
    await memory.load()
    await memory.write(cap_used=6)


async def test_an_old_holder_cannot_move_the_cursor_back(kit, host):
    heir = new_host(kit)
    await heir.save_cursor({"INBOX": "5"})
    await host.cursor()
    await heir.save_cursor({"INBOX": "6"})
    with pytest.raises(Conflict):
        await host.save_cursor({"INBOX": "1"})
    assert await heir.cursor() == {"INBOX": "6"}


async def test_an_inbound_message_is_announced_once_however_often_it_is_published(kit, host):
    for _ in range(3):
        await host.publish(received("hello"), "m1")
    assert len(await stored(kit, "INBOX", subjects.inbox(CHANNEL, "acc", "received"))) == 1


async def test_what_is_too_large_is_announced_as_a_stub_and_dead_lettered(kit, host):
    await host.publish(received("x" * 2_000_000), "m1")
    (announced,) = await stored(kit, "INBOX", subjects.inbox(CHANNEL, "acc", "received"))
    event = Received.model_validate_json(announced.data)
    assert (event.stub, event.text) == ("too_large", "")
    (letter,) = await stored(kit, "DLQ", "dlq.>")
    assert letter.headers["x-error"] == "too_large"


async def test_media_come_back_and_missing_ones_are_permanent(host):
    kept = await host.put_media(b"\x00" * 700_000, "photo.jpg", "image/jpeg")
    assert (kept.size, kept.filename) == (700_000, "photo.jpg")
    assert await host.get_media(kept.object) == b"\x00" * 700_000
    with pytest.raises(Permanent, match="attachment_missing"):
        await host.get_media("0" * 64)


async def test_a_session_is_sealed_and_replaced_whole(kit, host):
    assert await host.load_session() is None
    await host.save_session(b"first secret")
    await host.save_session(b"second secret")
    assert await host.load_session() == b"second secret"
    objects = await stored(kit, "OBJ_vault", "$O.vault.>")
    assert not any(b"secret" in m.data for m in objects)
    assert len([m for m in objects if ".M." in m.subject]) == 1


async def test_a_session_moved_to_another_account_does_not_open(kit, host):
    await host.save_session(b"secret")
    pointer = await kit.vault._pointers.get("acc.vault")
    await kit.vault._pointers.put("thief.vault", pointer.value)
    with pytest.raises(SealError):
        await kit.vault.load("thief")


async def test_the_vault_keeps_what_is_young_or_wanted_and_collects_the_rest(kit, host):
    await host.save_session(b"wanted")
    await kit.vault.save("gone", b"of an account that is gone")
    orphan = await kit.vault._objects.put(b"nobody points to it", {"kurir-channel": CHANNEL})
    foreign = await kit.vault._objects.put(b"another channel's", {"kurir-channel": "whatsapp"})

    async def exists(account_id):
        return account_id == "acc"

    assert await kit.vault.collect(exists, older_than_seconds=3600) == 0
    assert await kit.vault.collect(exists, older_than_seconds=-1) == 2
    left = {stored.id async for stored in kit.vault._objects.all()}
    assert orphan not in left
    assert foreign in left
    assert await kit.vault.load("acc") == b"wanted"


async def test_a_retired_session_is_not_heard(host):
    await host.report(SessionStatus.READY)
    host.retired = True
    await host.report(SessionStatus.FAILED, "an old session's last words")
    assert host._reporter.state.status is SessionStatus.READY
    with pytest.raises(Conflict):
        await host.publish(received("hello"), "m1")


async def test_states_are_written_at_once_when_they_change_and_otherwise_seldom(kit):
    reporter = Reporter(kit.bus, kit.journal, CHANNEL, "acc", "r", sealer=kit.sealer, every_seconds=60)
    reporter.change(SessionStatus.READY)
    assert await reporter.flush()
    reporter.update(queue_length=5)
    assert not await reporter.flush()
    reporter.change(SessionStatus.DEGRADED, "why")
    assert await reporter.flush()
    entry = await kit.sessions.get("acc")
    assert (entry.value.status, entry.value.queue_length) == (SessionStatus.DEGRADED, 5)
    assert entry.value.updated_at - datetime.now(UTC) < timedelta(seconds=5)


def test_credentials_show_nothing(host):
    assert "geheim" not in repr(host.credentials)


async def test_a_channel_sealer_opens_only_its_own(kit):
    other = channel_sealer(kit.settings, Channel.WHATSAPP)
    with pytest.raises(SealError):
        kit.sealer.open(other.seal(b"x", "acc"), "acc")


async def test_a_memo_is_sealed_and_the_last_write_wins(kit, host):
    assert await host.recall("peer_7") is None
    await host.remember("peer_7", b"first hash")
    await host.remember("peer_7", b"second hash")
    assert await new_host(kit).recall("peer_7") == b"second hash"
    (kept,) = await stored(kit, "KV_cursors_telegram", "$KV.cursors_telegram.acc.memo.>")
    assert b"hash" not in kept.data
    with pytest.raises(ValueError, match="not the key"):
        await host.remember("acc.vault", b"")


async def test_a_memo_moved_to_another_key_does_not_open(kit, host):
    await host.remember("peer_7", b"hash")
    sealed = await kit.memos._bucket.get("acc.memo.peer_7")
    await kit.memos._bucket.put("acc.memo.peer_8", sealed.value)
    with pytest.raises(SealError):
        await host.recall("peer_8")


async def test_a_memo_is_no_account_and_no_session(kit, host):
    """Whoever lists the bucket for cursors or sessions does not take a memo for one, whatever its key."""
    await host.remember("vault", b"hash")
    await host.save_session(b"session")
    await host.save_cursor({"INBOX": "7"})
    assert await kit.cursors.keys_like("*") == ["acc"]

    async def exists(_):
        return True

    assert await kit.vault.collect(exists, older_than_seconds=-1) == 0
    assert await host.load_session() == b"session"


async def test_a_session_being_closed_keeps_what_it_closes_with(kit, host):
    host.retired = True
    await host.save_session(b"a profile, closed just now")
    await host.remember("profile", b"where it lies")
    assert await host.load_session() == b"a profile, closed just now"
    assert await host.recall("profile") == b"where it lies"


async def test_a_closed_session_keeps_nothing_more(kit, host):
    """Or what was deleted would come back."""
    await host.remember("peer_7", b"hash")
    host.closed = True
    with pytest.raises(Conflict):
        await host.save_session(b"too late")
    await kit.memos.purge("acc")
    await host.remember("peer_7", b"hash")
    assert await host.recall("peer_7") is None
    assert await kit.cursors.keys() == []
