"""Rows and events in the corners of time: tries across a pause, a bus that was lost while rows were marked, old notes."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from campaigns.dispatch import purging
from campaigns.main import build_context
from campaigns.outbox import direct
from campaigns.outbox.messaging import DURABLE
from campaigns.outbox.usecases import on_reply
from contracts.channels import Channel
from contracts.commands import Content, Recipient
from contracts.state import LedgerEntry
from contracts.topology import topology
from servicekit import topology as bus_topology
from servicekit.clock import utcnow
from servicekit.delivery.consumers import consumer_config, ensure_consumer

from tests.integration.campaigns.dispatch.kit import EMAIL, Service, running, settings_for, until


@pytest.fixture
async def service(fresh_nats, mongo_url, fresh_db) -> AsyncIterator[Service]:
    async with running(fresh_nats, mongo_url, fresh_db) as made:
        yield made


async def in_state(service: Service, campaign: str, state: str) -> bool:
    rows = await service.rows(campaign)
    return bool(rows) and all(row["state"] == state for row in rows)


async def test_a_pause_does_not_forget_the_tries_of_earlier_attempts(service: Service):
    """Else a recipient who is greylisted for ever is tried for ever."""
    await service.account()
    lane = service.lane(decide=greylisted)
    campaign = await service.campaign(1)
    await service.process(campaign)
    await until(lambda: lane.seen)
    lane.hold.clear()
    tries = await until(lambda: tried(service, campaign))
    await service.call("POST", f"/v1/campaigns/{campaign}/pause")
    await until(lambda: in_state(service, campaign, "pending"))
    assert (await service.rows(campaign))[0]["tries"] == tries


async def tried(service: Service, campaign: str) -> int:
    row = (await service.rows(campaign))[0]
    return row["tries"] if row["state"] == "queued" else 0


def greylisted(command):
    now = utcnow()
    return LedgerEntry(state="cancelled", reason="retry", tries=command.tries + 1, not_before=now, at=now)


async def lost_on_the_way(service: Service) -> tuple[str, list]:
    """Leave rows that were marked after the bus of their batch was lost and settled."""
    await service.account()
    campaign = await service.campaign(3)
    await service.process(campaign)
    await until(lambda: in_state(service, campaign, "queued"))
    await service.session("acc_1", "connecting")
    past = utcnow() - timedelta(hours=1)
    change = {"incarnation": "the life before", "done": True, "not_after": past}
    await service.ctx.db["batches"].update_many({"campaign": campaign}, {"$set": change})
    return campaign, await service.rows(campaign)


async def test_rows_marked_while_their_bus_was_lost_get_an_end(service: Service):
    campaign, _ = await lost_on_the_way(service)
    await until(lambda: in_state(service, campaign, "unknown"), 15)


async def test_a_pause_takes_back_rows_whose_bus_was_lost(service: Service):
    campaign, _ = await lost_on_the_way(service)
    await service.call("POST", f"/v1/campaigns/{campaign}/pause")
    await until(lambda: in_state(service, campaign, "unknown"), 15)


async def test_a_reply_is_heard_though_other_rows_lay_on_a_lost_bus(service: Service):
    """What cannot be taken back must not hold up the whole inbox."""
    campaign, rows = await lost_on_the_way(service)
    same = {"key": rows[0]["key"]}
    await service.ctx.db["rows"].update_one({"_id": rows[1]["_id"]}, {"$set": same})
    await on_reply(service.ctx, rows[0]["_id"], utcnow())
    found = await service.rows(campaign)
    assert found[0]["answered_at"]
    assert found[1]["state"] in ("unknown", "cancelled")


@pytest.fixture
async def unread(bus, fresh_nats, mongo_url, fresh_db):
    """An INBOX whose reader has acknowledged nothing, and a context that reads nothing by itself."""
    await bus_topology.apply(bus.js, topology([Channel.EMAIL]))
    config = consumer_config(DURABLE, ["inbox.>"], ack_wait_seconds=30, max_ack_pending=100)
    await ensure_consumer(bus.js, "INBOX", config)
    ctx = build_context(settings_for(fresh_nats.url, mongo_url, fresh_db))
    await ctx.bus.start()
    await ctx.bus.wait_connected()
    yield ctx
    await ctx.bus.stop()
    ctx.db.close()


async def test_notes_about_the_inbox_of_a_lost_bus_purge_nothing_of_the_new_one(unread, bus):
    """Sequences begin at 1 again: an old note's number is far above what anybody has read."""
    week_ago = utcnow() - timedelta(days=8)
    await unread.db[purging.MARKS].insert_one({"_id": 50_000, "at": week_ago})
    for n in range(3):
        await bus.publish("inbox.email.acc_1.sent.v1", b"{}", msg_id=str(n))
    await purging.once(unread, utcnow())
    assert (await bus.js.stream_info("INBOX")).state.messages == 3
    pull = await bus.js.pull_subscribe_bind(consumer=DURABLE, stream="INBOX")
    for msg in await pull.fetch(2):
        await msg.ack_sync()
    await purging.once(unread, utcnow())
    assert (await bus.js.stream_info("INBOX")).state.messages == 3, "read, but young"
    await purging.once(unread, utcnow() + timedelta(days=8))
    assert (await bus.js.stream_info("INBOX")).state.messages == 1


async def enqueued(service: Service, key: str) -> str:
    return await direct.enqueue(
        service.ctx, account_id="acc_1", channel=EMAIL, kind="reply", to=Recipient(address="ani@example.com"),
        content=Content(text="Halo"), key=key,
    )  # fmt: skip


async def test_an_answer_below_a_wrong_low_water_mark_goes_out(service: Service):
    """The mark is only a hint: it may be raised in the moment in which a row below it becomes pending."""
    await service.account()
    await service.session("acc_1", "connecting")
    await until(lambda: service.ctx.accounts.unfit(EMAIL, "acc_1"))
    row = await enqueued(service, "satu")
    campaigns = service.ctx.db["campaigns"]
    await until(lambda: resting(service))
    wrong = {"numbers.acc_1": 1_500, "low.acc_1": 1}
    await campaigns.update_one({"_id": "direct-acc_1"}, {"$set": {**wrong, "due_at": utcnow()}, "$inc": {"touched": 1}})
    await service.session("acc_1")
    lane = service.lane()
    await until(lambda: [c for c in lane.seen if c.row == row], 15)


async def resting(service: Service):
    found = await service.ctx.db["campaigns"].find_one({"_id": "direct-acc_1"})
    return found and found["epoch"]


async def test_an_answer_stored_by_a_process_that_died_before_it_woke_anybody_goes_out(service: Service, monkeypatch):
    await service.account()
    lane = service.lane()

    async def killed(*_, **__):
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(direct.counts, "touch", killed)
        with pytest.raises(RuntimeError, match="killed"):
            await enqueued(service, "satu")
    await until(lambda: lane.seen, 15)


async def test_what_a_late_lane_writes_into_a_purged_batch_is_purged_too(fresh_nats, mongo_url, fresh_db):
    """The account was off until long after its commands' end: the sweeper ended the rows, and forgot the batch."""
    async with running(fresh_nats, mongo_url, fresh_db, ledger_keep_seconds=1.0) as service:
        await service.account()
        campaign = await service.campaign(3)
        await service.process(campaign)
        await until(lambda: in_state(service, campaign, "queued"))
        await service.session("acc_1", "connecting")
        past = utcnow() - timedelta(seconds=60)
        await service.ctx.db["batches"].update_many({"campaign": campaign}, {"$set": {"not_after": past}})
        await until(lambda: in_state(service, campaign, "pending"))
        await until(lambda: forgotten(service), 15)
        service.lane(decide=lambda _: LedgerEntry(state="cancelled", reason="expired", at=utcnow()))
        await until(lambda: told(service, 3))
        await until(lambda: forgotten(service), 15)


async def forgotten(service: Service) -> bool:
    return (await service.bus.js.stream_info("KV_ledger_email")).state.messages == 0


async def told(service: Service, count: int) -> bool:
    return (await service.bus.js.stream_info("INBOX")).state.messages >= count
