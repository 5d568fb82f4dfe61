"""No row without an end: sweeping, late events, expired batches, a lost bus, deleted accounts."""

import shutil
from datetime import timedelta

from campaigns.dispatch import incarnation, sweeper
from campaigns.outbox import messaging
from campaigns.outbox.direct import enqueue
from campaigns.outbox.usecases import on_reply
from contracts.channels import Channel
from contracts.commands import Content, Recipient
from contracts.events import AccountDeleting
from contracts.inbox import Bounced, Cancelled, Delivered, Failed, Origin, Read, Sent
from contracts.state import LedgerEntry, Pace
from contracts.topology import topology
from servicekit import topology as bus_topology
from servicekit.clock import utcnow
from servicekit.errors import Unavailable
from servicekit.ledger import Ledger

from tests.integration.campaigns.dispatch.kit import Service, outcome, running, sent, until


async def queued(service: Service, recipients: int = 4, **fields) -> tuple[str, list[dict]]:
    """Return a campaign whose rows all lie in the queue, and the rows."""
    campaign = await service.campaign(recipients, **fields)
    await service.process(campaign)
    await until(lambda: _states(service, campaign, {"queued": recipients}))
    return campaign, await service.rows(campaign)


async def _states(service: Service, campaign: str, wanted: dict[str, int]) -> bool:
    found: dict[str, int] = {}
    for row in await service.rows(campaign):
        found[row["state"]] = found.get(row["state"], 0) + 1
    return found == wanted


async def expire(service: Service, campaign: str) -> None:
    """Let a campaign's batches be long past their end."""
    past = utcnow() - timedelta(seconds=60)
    await service.ctx.db["batches"].update_many({"campaign": campaign}, {"$set": {"not_after": past}})


async def test_the_sweeper_asks_the_ledger_about_each_queued_row(service: Service):
    await service.account()
    campaign, rows = await queued(service, 5)
    ledger = Ledger(service.bus, Channel.EMAIL)
    now = utcnow()
    entries = [
        None,
        LedgerEntry(state="released", tries=1, at=now),
        LedgerEntry(state="claimed", token="gone", at=now),
        LedgerEntry(state="sent", tries=1, at=now),
        LedgerEntry(state="failed", reason="no_such_user", tries=1, at=now),
    ]
    for row, entry in zip(rows, entries, strict=True):
        if entry:
            await ledger.write(f"acc_1.{row['batch']}.{row['_id']}", entry, 0)
    await service.session("acc_1", "connecting")
    await expire(service, campaign)

    await until(lambda: _states(service, campaign, {"pending": 2, "unknown": 1, "sent": 1, "failed": 1}))
    lost = await ledger.read(f"acc_1.{rows[0]['batch']}.{rows[0]['_id']}")
    assert (lost.entry.state, lost.entry.reason) == ("cancelled", "expired")
    found = [row["state"] for row in await service.rows(campaign)]
    assert found == ["pending", "pending", "unknown", "sent", "failed"]


async def test_nothing_is_swept_while_an_outcome_waits_in_the_inbox(service: Service, monkeypatch):
    await service.account()
    campaign, _ = await queued(service, 2)

    async def never(*_, **__):
        return False

    monkeypatch.setattr(sweeper, "reader_passed", never)
    await expire(service, campaign)
    assert await sweeper.sweep(service.ctx, utcnow()) == 0
    assert await _states(service, campaign, {"queued": 2})


async def test_a_swept_batch_is_purged_from_the_ledger(fresh_nats, mongo_url, fresh_db):
    async with running(fresh_nats, mongo_url, fresh_db, ledger_keep_seconds=0.0) as service:
        await service.account()
        service.lane()
        campaign = await service.campaign(3)
        await service.process(campaign)
        await service.status(campaign, "done")
        await expire(service, campaign)
        await until(lambda: _purged(service))


async def _purged(service: Service) -> bool:
    info = await service.bus.js.stream_info("KV_ledger_email")
    return info.state.messages == 0


async def test_an_expired_row_goes_again_with_the_same_key(service: Service):
    await service.account()
    again: dict[str, int] = {}

    def decide(command):
        again[command.row] = again.get(command.row, 0) + 1
        if again[command.row] == 1:
            return LedgerEntry(state="cancelled", reason="expired", at=utcnow())
        return sent(command)

    lane = service.lane(decide=decide)
    campaign = await service.campaign(3)
    await service.process(campaign)

    assert (await service.status(campaign, "done"))["counts"] == {"sent": 3}
    assert {command.wanted for command in lane.seen} == {0}
    assert {command.k for command in lane.seen} > {1}


async def test_a_greylisted_row_waits_and_hands_on_its_tries(service: Service):
    await service.account()
    later = utcnow() + timedelta(seconds=1.5)

    def decide(command):
        if command.tries == 0:
            return LedgerEntry(state="cancelled", reason="retry", not_before=later, tries=1, at=utcnow())
        return sent(command)

    lane = service.lane(decide=decide)
    campaign = await service.campaign(2)
    await service.process(campaign)

    assert (await service.status(campaign, "done"))["counts"] == {"sent": 2}
    assert utcnow() >= later
    assert sorted(command.tries for command in lane.seen) == [0, 0, 1, 1]
    assert {row["tries"] for row in await service.rows(campaign)} == {2}


async def test_events_of_an_earlier_attempt_change_nothing(service: Service):
    await service.account()
    lane = service.lane(
        decide=lambda c: LedgerEntry(state="failed", reason="busy", at=utcnow()) if not c.wanted else None
    )
    campaign = await service.campaign(1)
    await service.process(campaign)
    await service.status(campaign, "done")
    await service.call("POST", f"/v1/campaigns/{campaign}/retry")
    await until(lambda: len(lane.seen) == 2)

    early = lane.seen[0]
    for entry in (sent(early), LedgerEntry(state="cancelled", reason="expired", at=utcnow())):
        await messaging.hear(service.ctx, [outcome(early, entry)])

    [row] = await service.rows(campaign)
    assert (row["state"], row["k"], row["wanted"]) == ("queued", 2, 1)


async def test_outcomes_in_any_order_and_twice_end_alike(service: Service):
    await service.account()
    campaign, rows = await queued(service, 40)
    common = [
        {"account_id": "acc_1", "channel": "email", "campaign_id": campaign, "row": r["_id"], "batch": r["batch"],
         "k": r["k"], "number": r["number"], "wanted": 0, "tries": 1, "at": utcnow()}
        for r in rows
    ]  # fmt: skip
    receipt = {"account_id": "acc_1", "channel": "email", "wanted": 0, "at": utcnow()}
    events = [Sent(**c) for n, c in enumerate(common) if n not in (3, 17, 39)]
    events += [Failed(**common[3], reason="x"), Failed(**common[17], reason="y")]
    events += [Read(**receipt, row=rows[5]["_id"]), Delivered(**receipt, row=rows[5]["_id"])]
    events += [Delivered(**receipt, row=rows[6]["_id"])]
    for part in (events[::-1], events, events[10:30]):
        await messaging.hear(service.ctx, part)

    states = [row["state"] for row in await service.rows(campaign)]
    assert states[39] == "queued"  # never heard of: a range must not cover it
    assert (states[3], states[17], states[5], states[6]) == ("failed", "failed", "read", "delivered")
    assert states.count("sent") == 35


async def test_a_hard_bounce_is_a_fact_and_suppresses(service: Service):
    await service.account()
    service.lane()
    campaign = await service.campaign(2)
    await service.process(campaign)
    await service.status(campaign, "done")
    [first, _] = await service.rows(campaign)
    bounce = Bounced(
        account_id="acc_1", channel="email", row=first["_id"], address="p0@example.com", hard=True, status="5.1.1",
        diagnostic="no such user", at=utcnow(),
    )  # fmt: skip
    await service.bus.publish("inbox.email.acc_1.bounced.v1", bounce)

    await until(lambda: _counts(service, campaign, {"sent": 2, "bounced": 1}))
    shown = await service.call("GET", "/v1/outbox", params={"campaign": campaign, "bounced": True})
    assert [row["bounced"]["status"] for row in shown["items"]] == ["5.1.1"]
    assert (await service.call("GET", "/v1/suppressions"))["items"][0]["reason"] == "bounced"


async def _counts(service: Service, campaign: str, wanted: dict) -> bool:
    return (await service.read(campaign))["counts"] == wanted


async def test_a_command_from_outside_gets_its_row_from_its_first_event(service: Service):
    origin = Origin(
        source="shop", id="o1", to=Recipient(address="x@example.com", name="X"), subject="Hi", preview="Hey"
    )
    common = {"account_id": "acc_1", "channel": "email", "row": "shop.o1", "batch": "shop.o1.1", "k": 1, "at": utcnow()}
    for _ in range(2):
        await service.bus.publish("inbox.email.acc_1.sent.v1", Sent(**common, outside=origin))
    found = await until(lambda: _outside(service, "sent"))
    assert (found["to"]["address"], found["subject"], found["source"]) == ("x@example.com", "Hi", "shop")

    expired = {**common, "row": "shop.o2", "batch": "shop.o2.1"}
    event = Cancelled(**expired, outside=origin.model_copy(update={"id": "o2"}), reason="expired")
    await service.bus.publish("inbox.email.acc_1.cancelled.v1", event)
    await until(lambda: _outside(service, "cancelled"))  # and not pending: nobody here may send it again
    counts = await until(lambda: _outbox_counts(service, {"sent": 1, "cancelled": 1}))
    assert counts


async def _outside(service: Service, state: str):
    found = await service.call("GET", "/v1/outbox", params={"state": state, "q": "x@"})
    return found["items"][0] if found["items"] else None


async def _outbox_counts(service: Service, wanted: dict) -> bool:
    return (await service.call("GET", "/v1/outbox/counts"))["counts"] == wanted


async def test_deleting_an_account_ends_what_waits_for_it(service: Service):
    await service.account()
    await service.session("acc_1", "connecting")
    await until(lambda: service.ctx.accounts.unfit("email", "acc_1"))
    campaign = await service.campaign(4)
    await service.process(campaign)
    await until(lambda: _states(service, campaign, {"pending": 4}))

    await service.account(status="deleting")
    event = AccountDeleting(account_id="acc_1", channel="email", at=utcnow())
    await service.bus.publish("evt.accounts.account.deleting.v1", event)

    done = await service.status(campaign, "done")
    assert done["counts"] == {"failed": 4}
    assert {row["reason"] for row in await service.rows(campaign)} == {"account_deleted"}


async def test_deleting_an_account_moves_what_waits_where_a_person_said(service: Service):
    await service.account()
    await service.account("acc_2")
    await service.session("acc_1", "connecting")
    await until(lambda: service.ctx.accounts.unfit("email", "acc_1"))
    lane = service.lane("acc_2")
    campaign = await service.campaign(6)
    await service.process(campaign)
    await until(lambda: _states(service, campaign, {"pending": 6}))

    await service.account(status="deleting")
    event = AccountDeleting(account_id="acc_1", channel="email", move_to="acc_2", at=utcnow())
    await service.bus.publish("evt.accounts.account.deleting.v1", event)

    assert (await service.status(campaign, "done"))["counts"] == {"sent": 6}
    assert len(lane.delivered) == 6
    assert {row["account"] for row in await service.rows(campaign)} == {"acc_2"}


async def test_a_bus_made_anew_leaves_queued_rows_unknown_and_pauses(service: Service, tmp_path):
    await service.account()
    campaign, _ = await queued(service, 3)
    service.nats.kill()
    shutil.rmtree(tmp_path / "nats" / "jetstream")
    service.nats.start()
    await until(lambda: _applied(service))

    await until(lambda: _states(service, campaign, {"unknown": 3}))
    found = await service.status(campaign, "paused")
    assert found["attention"] == {"reason": "bus_lost"}
    assert await incarnation.verify(service.ctx, Channel.EMAIL)  # the second time it changes nothing
    await service.account()
    await service.call("POST", f"/v1/campaigns/{campaign}/resume")
    assert (await service.status(campaign, "done"))["counts"] == {"unknown": 3}


async def _applied(service: Service) -> bool:
    try:
        await bus_topology.apply(service.bus.js, topology([Channel.EMAIL]))
    except Unavailable:  # sent into the connection that had just died
        return False
    return True


async def test_an_answer_stops_what_else_that_person_would_get(service: Service):
    await service.account(pace=Pace(per_second=0.01))
    lane = service.lane()
    lane.hold.clear()
    campaign = await service.campaign(4)
    await service.process(campaign)
    await until(lambda: _states(service, campaign, {"queued": 3, "pending": 1}))
    rows = await service.rows(campaign)
    same = {"key": "p0@example.com"}
    for other in (rows[1], rows[3]):
        await service.ctx.db["rows"].update_one({"_id": other["_id"]}, {"$set": same})

    await on_reply(service.ctx, rows[0]["_id"], utcnow())

    found = {row["number"]: row for row in await service.rows(campaign)}
    assert found[0]["answered_at"] is not None
    assert [(found[n]["state"], found[n]["reason"]) for n in (1, 3)] == [("cancelled", "replied")] * 2
    assert found[2]["state"] == "queued"


async def test_an_answer_of_ours_is_one_row_whatever_the_number_of_clicks(service: Service):
    await service.account()
    lane = service.lane()
    wanted = {
        "account_id": "acc_1", "channel": Channel.EMAIL, "kind": "reply", "to": Recipient(address="x@example.com"),
        "content": Content(subject="Re", text="Ya"), "key": "click",
    }  # fmt: skip
    first = await enqueue(service.ctx, **wanted)
    assert await enqueue(service.ctx, **wanted) == first
    await until(lambda: lane.delivered)
    assert sum(lane.delivered.values()) == 1
    assert (await service.call("GET", f"/v1/outbox/{first}"))["content"]["text"] == "Ya"
