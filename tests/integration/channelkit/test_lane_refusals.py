"""What a lane makes of a platform's refusals, and of somebody who cancels at the same time."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from channelkit import verdicts
from channelkit.protocol import NeedsLogin, OutcomeUnknown, Restricted
from contracts.inbox import Cancelled, Failed, Sent, Unknown
from contracts.state import LaneState
from servicekit.errors import Permanent, Retry
from servicekit.kv import Bucket
from servicekit.settings import ServiceSettings

from tests.integration.channelkit.lane_support import ACCOUNT, World, doing, raising, world_on
from tests.support.servers import NatsServer


@pytest.fixture
async def world(fresh_nats: NatsServer, service_settings: ServiceSettings):
    async with world_on(service_settings.model_copy(update={"nats_url": fresh_nats.url})) as made:
        yield made


@pytest.mark.parametrize("after_claim", [True, False])
async def test_a_short_retry_is_made_by_the_lane_itself(world: World, after_claim: bool):
    """Released in the ledger, tried again when due, tries counted; a line in the log says so."""
    world.platform.acts["to0"] = [raising(Retry(0.5, "450 busy"), after_claim=after_claim)]
    made = await world.send(0)
    replica = await world.replica()
    await world.eventually(lambda: world.platform.sends == 1)

    async def released() -> bool:
        entry = await world.entry(made)
        return entry is not None and (entry.state, entry.tries) == ("released", 1)

    await world.eventually(released, 0.45)
    (event,) = await world.outcomes(1)
    assert isinstance(event, Sent)
    assert event.tries == 2
    assert world.platform.texts() == ["hello 0"]
    assert any("row0" in line and "450 busy" in line and "again" in line for line in replica.host.lines)


async def test_a_retry_and_then_a_redelivery_elsewhere_keeps_time_and_tries(world: World):
    """The holder dies while the message waits; its heir waits as long, and counts on."""
    world.platform.acts["to0"] = [raising(Retry(3.0, "451 later"))]
    made = await world.send(0)
    first = await world.replica()

    async def released() -> bool:
        entry = await world.entry(made)
        return entry is not None and entry.state == "released"

    await world.eventually(released)
    refused_at = asyncio.get_running_loop().time()
    await first.die()
    await world.replica()
    (event,) = await world.outcomes(1)
    assert asyncio.get_running_loop().time() - refused_at > 2.7
    assert isinstance(event, Sent)
    assert event.tries == 2


async def test_a_long_retry_ends_the_attempt_and_hands_on_its_tries(world: World):
    world.platform.acts["to0"] = [raising(Retry(300, "451 greylisted"))]
    made = await world.send(0, tries=2)
    await world.replica()
    (event,) = await world.outcomes(1)
    assert isinstance(event, Cancelled)
    assert (event.reason, event.tries, event.detail) == ("retry", 3, "451 greylisted")
    assert event.not_before is not None
    assert event.not_before > datetime.now(UTC) + timedelta(seconds=250)
    entry = await world.entry(made)
    assert (entry.state, entry.reason, entry.tries) == ("cancelled", "retry", 3)
    await world.settled()


async def test_an_exhausted_attempt_fails_and_leaves_a_dead_letter(world: World):
    world.platform.acts["to0"] = [raising(Retry(0.05, "450 busy"))] * 9
    await world.send(0, tries=2)
    await world.send(1)
    await world.replica()
    events = {event.number: event for event in await world.outcomes(2)}
    assert isinstance(events[0], Failed)
    assert (events[0].reason, events[0].tries, events[0].detail) == ("exhausted", 5, "450 busy")
    assert isinstance(events[1], Sent)
    await world.settled()
    assert await world.left("DLQ") == 1


@pytest.mark.parametrize("after_claim", [True, False])
async def test_a_permanent_refusal_fails_at_once(world: World, after_claim: bool):
    world.platform.acts["to0"] = [raising(Permanent("no_such_user", "550 5.1.1 who?"), after_claim=after_claim)]
    made = await world.send(0)
    await world.replica()
    (event,) = await world.outcomes(1)
    assert isinstance(event, Failed)
    assert (event.reason, event.detail, event.tries) == ("no_such_user", "550 5.1.1 who?", 1)
    assert (await world.entry(made)).state == "failed"
    await world.settled()


async def test_cancelling_first_wins_and_nothing_is_sent(world: World):
    made = await world.send(0)
    result = await world.ledger.cancel(made.ledger_key, "paused", token="mine")
    assert result.outcome == "won"
    assert (await world.ledger.cancel(made.ledger_key, "paused", token="mine")).outcome == "won"
    assert (await world.ledger.cancel(made.ledger_key, "replied")).outcome == "ended"
    await world.replica()
    (event,) = await world.outcomes(1)
    assert isinstance(event, Cancelled)
    assert event.reason == "paused"
    await world.settled()
    assert not world.platform.received


async def test_a_cancel_that_loses_to_a_claim_and_then_a_retry_is_cancelled_never_released(world: World):
    seen = []

    async def cancel_then_refuse(out):
        seen.append(await world.ledger.cancel(out.command.ledger_key, "paused"))
        raise Retry(0.1, "450 busy")

    world.platform.acts["to0"] = [doing(cancel_then_refuse)]
    made = await world.send(0)
    await world.replica()
    (event,) = await world.outcomes(1)
    assert seen[0].outcome == "asked"
    assert isinstance(event, Cancelled)
    assert event.reason == "paused"
    await world.settled()
    assert world.platform.sends == 1
    entry = await world.entry(made)
    assert (entry.state, entry.reason) == ("cancelled", "paused")


async def test_a_cancel_that_loses_to_a_claim_whose_message_goes_out_stays_sent(world: World):
    world.platform.acts["to0"] = [doing(lambda out: world.ledger.cancel(out.command.ledger_key, "cancelled"))]
    made = await world.send(0)
    await world.replica()
    (event,) = await world.outcomes(1)
    assert isinstance(event, Sent)
    await world.settled()
    assert (await world.entry(made)).state == "sent"
    assert (await world.ledger.cancel(made.ledger_key, "cancelled")).outcome == "ended"


@pytest.mark.parametrize(
    ("can_ask", "knows", "ends"),
    [(False, None, Unknown), (True, None, Unknown), (True, True, Sent), (True, False, Sent)],
)
async def test_an_unknown_outcome_is_asked_where_the_platform_can_be_asked(world: World, can_ask, knows, ends):
    world.platform.knows = knows
    world.platform.acts["to0"] = [raising(OutcomeUnknown("the connection was lost after the content"))]
    await world.send(0)
    await world.replica(can_ask=can_ask)
    (event,) = await world.outcomes(1)
    assert type(event) is ends
    await world.settled()
    assert world.platform.asked == (1 if can_ask else 0)
    assert len(world.platform.received) == (1 if knows is False else 0)


async def test_a_silent_platform_ends_unknown_after_the_send_timeout(world: World):
    world.platform.acts["to0"] = [doing(lambda _: asyncio.sleep(60))]
    await world.send(0)
    await world.send(1)
    await world.replica()
    events = {event.number: event for event in await world.outcomes(2)}
    assert isinstance(events[0], Unknown)
    assert isinstance(events[1], Sent)


async def test_a_restriction_stops_the_lane_survives_a_restart_and_ends(world: World):
    until = datetime.now(UTC) + timedelta(seconds=3)
    world.platform.acts["to0"] = [raising(Restricted(until, "PEER_FLOOD"))]
    made = await world.send(0)
    first = await world.replica()
    await world.eventually(lambda: first.lane.status.waits_for == "restricted")
    await world.eventually(lambda: ("degraded", "PEER_FLOOD") in first.host.reports)
    stored = await Bucket(world.bus, "lanes_telegram", LaneState).get(ACCOUNT)
    assert stored is not None
    assert stored.value.restricted_until == until
    assert (await world.entry(made)).state == "released"
    await first.lane.stop(1)
    second = await world.replica()
    await world.send(1)
    await asyncio.sleep(0.5)
    assert second.lane.status.restricted_reason == "PEER_FLOOD"
    assert world.platform.sends == 1
    await world.outcomes(2)
    assert datetime.now(UTC) > until
    assert all(isinstance(event, Sent) and event.tries == 1 for event in await world.events())


@pytest.mark.parametrize("cancelled", [True, False])
@pytest.mark.parametrize("restricted", [True, False])
async def test_a_message_that_may_be_out_is_not_called_cancelled_whatever_stops_the_lane(
    world: World, monkeypatch, restricted: bool, cancelled: bool
):
    """The platform took it and said nothing; the second try meets a closed door, and then the row is cancelled."""
    monkeypatch.setattr(verdicts, "_CRASH_PAUSE_SECONDS", 0.1)

    def taken(out) -> None:
        world.platform.received.append((out.platform_key(), out.command.content.text))
        raise OutcomeUnknown("no answer")

    def closed(_) -> None:
        raise Restricted(datetime.now(UTC) + timedelta(seconds=2), "FLOOD") if restricted else NeedsLogin("gone")

    world.platform.deduplicates = True
    world.platform.acts["to0"] = [doing(taken), doing(closed)]
    made = await world.send(0)
    first = await world.replica(idempotent=True)
    await world.eventually(lambda: first.lane.status.waits_for == ("restricted" if restricted else "needs_login"))
    await asyncio.sleep(0.3)
    assert (await world.entry(made)).state == "claimed"
    if cancelled:
        assert (await world.ledger.cancel(made.ledger_key, "cancelled")).outcome == "asked"
    await first.lane.stop(1)
    await world.replica(idempotent=True)
    (event,) = await world.outcomes(1)
    assert type(event) is (Unknown if cancelled else Sent)
    assert len(world.platform.received) == 1
    await world.settled()


async def test_a_lost_login_stops_the_lane_and_keeps_the_command(world: World):
    world.platform.acts["to0"] = [raising(NeedsLogin("session revoked"))]
    await world.send(0)
    replica = await world.replica()
    await world.eventually(lambda: ("logged_out", "session revoked") in replica.host.reports)
    await asyncio.sleep(0.3)
    assert replica.lane.status.waits_for == "needs_login"
    assert await world.left() == 1
    await replica.lane.stop(1)
    await world.replica()
    (event,) = await world.outcomes(1)
    assert isinstance(event, Sent)


async def test_a_lost_connection_is_the_accounts_trouble_and_counts_no_tries(world: World):
    """A server that is down for a while fails nobody's message."""

    def gone(_):
        raise Retry(0.1, "connection refused") from ConnectionRefusedError()

    world.platform.acts["to0"] = [doing(gone, after_claim=False)] * 2
    await world.send(0)
    replica = await world.replica()
    (event,) = await world.outcomes(1)
    assert isinstance(event, Sent)
    assert event.tries == 1
    assert sum("connection refused" in line for line in replica.host.lines) == 2


async def test_a_sender_that_crashes_fails_its_message_and_not_the_lane(world: World):
    """Before the claim nothing was sent: it is tried again, and in the end failed."""
    world.platform.acts["to0"] = [raising(RuntimeError("bug"), after_claim=False)]
    world.platform.acts["to1"] = [raising(RuntimeError("bug"))]
    await world.send(0, tries=4)
    await world.send(1)
    await world.send(2)
    await world.replica()
    events = {event.number: event for event in await world.outcomes(3)}
    assert isinstance(events[0], Failed)
    assert events[0].reason == "exhausted"
    assert isinstance(events[1], Unknown)
    assert isinstance(events[2], Sent)
