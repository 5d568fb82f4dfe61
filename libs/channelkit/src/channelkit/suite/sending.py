"""What becomes of messages, and the worker switch."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta

from contracts import subjects
from contracts.commands import Content
from contracts.inbox import Received
from contracts.state import LedgerEntry, SuppressionEntry
from servicekit.clock import utcnow
from servicekit.kv import Bucket
from servicekit.ledger import Ledger
from servicekit.secrets import AddressHasher

from channelkit.suite.base import Rules
from channelkit.suite.rig import Rig, World, eventually

_QUIET_SECONDS = 1.5
"""Long enough for a message to leave if it were going to."""


class SendingRules(Rules):
    """Every command has one end, and the platform sees each message at most once."""

    async def test_messages_of_both_queues_arrive_once(self, rig: Rig, world: World) -> None:
        """And each is announced as sent."""
        await rig.replica()
        await rig.log_in("acc")
        bulk, now = [rig.command("acc") for _ in range(5)], [rig.command("acc", kind="reply") for _ in range(2)]
        await rig.send(*bulk)
        await rig.send(*now, queue="now")
        for command in [*bulk, *now]:
            event = await rig.end(command, "sent")
            assert event["platform_ids"]
            assert await world.copies(command) == 1
        await eventually(lambda: _is(rig.waiting("acc"), 0), 5, "the queue to be empty")

    async def test_worker_off_stops_and_on_continues(self, rig: Rig, world: World) -> None:
        """Off before the command: nothing leaves."""
        await rig.replica()
        await rig.log_in("acc")
        await rig.want("acc", worker=False)
        await eventually(lambda: _worker(rig, "acc", "off"), 5, "the worker to be off")
        command = rig.command("acc")
        await rig.send(command)
        await asyncio.sleep(_QUIET_SECONDS)
        assert await world.copies(command) == 0
        await rig.want("acc", worker=True)
        await rig.end(command, "sent")

    async def test_the_switch_for_all_holds_accounts_created_later(self, rig: Rig, world: World) -> None:
        """Theirs is on, and still nothing leaves until the one for all is."""
        await rig.replica()
        await rig.log_in("first")
        await rig.switch_all(worker=False)
        await eventually(lambda: _worker(rig, "first", "off"), 5, "the worker to be off")
        await rig.log_in("later")
        commands = [rig.command("first"), rig.command("later")]
        await rig.send(*commands)
        await asyncio.sleep(_QUIET_SECONDS)
        assert [await world.copies(c) for c in commands] == [0, 0]
        await rig.switch_all(worker=True)
        for command in commands:
            await rig.end(command, "sent")

    async def test_a_command_seen_twice_is_sent_once(self, rig: Rig, world: World) -> None:
        """The ledger decides, not the stream's memory of ids."""
        await rig.replica()
        await rig.log_in("acc")
        command = rig.command("acc")
        await rig.send(command, command)
        await rig.end(command, "sent")
        await rig.send(command)
        await eventually(lambda: _is(rig.waiting("acc"), 0), 10, "the copies to be acknowledged")
        assert await world.copies(command) == 1
        assert {what for what, _ in await rig.ends(command)} == {"sent"}

    async def test_bubbles_that_are_out_are_not_sent_again(self, rig: Rig, world: World) -> None:
        """A holder died between two bubbles: what the ledger says was sent is learnt by the claim, and only the rest goes."""
        if not world.driver().capabilities.bubbles:
            return
        await rig.replica()
        await rig.log_in("acc")
        whole, rest = [rig.command("acc", content=Content(text="satu", bubbles=["dua"])) for _ in range(2)]
        halfway = LedgerEntry(state="released", token="of the dead", parts_done=["1"], at=utcnow())  # noqa: S106
        await Ledger(rig.bus, rig.channel).write(rest.ledger_key, halfway, 0)
        await rig.send(whole, rest)
        assert len((await rig.end(whole, "sent"))["platform_ids"]) == 2
        ids = (await rig.end(rest, "sent"))["platform_ids"]
        assert (len(ids), ids[0]) == (2, "1")
        assert [await world.copies(c) for c in (whole, rest)] == [1, 0]

    async def test_a_deferred_message_is_sent_later(self, rig: Rig, world: World) -> None:
        """By the lane itself, or by the next attempt, which the event asks for."""
        await rig.replica()
        await rig.log_in("acc")
        command = rig.command("acc", "defers")
        await rig.send(command)
        event = await rig.end(command, "sent", "cancelled", seconds=30)
        if event.get("reason") == "retry":
            command = command.model_copy(update={"k": 2, "batch": "c1.2", "tries": event["tries"]})
            await rig.send(command)
            event = await rig.end(command, "sent", seconds=30)
        assert event["tries"] >= 1
        assert await world.copies(command) == 1

    async def test_a_refused_message_fails_with_the_platforms_words(self, rig: Rig, world: World) -> None:
        """And holds back nobody behind it."""
        await rig.replica()
        await rig.log_in("acc")
        refused, behind = rig.command("acc", "refuses"), rig.command("acc")
        await rig.send(refused, behind)
        event = await rig.end(refused, "failed")
        assert event["reason"]
        assert event["detail"]
        await rig.end(behind, "sent")
        assert await world.copies(refused) == 0

    async def test_the_suppressed_get_nothing(self, rig: Rig, world: World) -> None:
        """Under an older address key too; a person may still answer who unsubscribed."""
        await rig.replica()
        await rig.log_in("acc")
        bucket = Bucket(rig.bus, "suppressions", SuppressionEntry)
        address = world.address("accepts")
        digest = AddressHasher(rig.settings.address_hmac_keys).digests(rig.channel, address)[-1]
        await bucket.put(f"{rig.channel}.{digest}", SuppressionEntry(reason="unsubscribed", at=utcnow()))
        bulk, reply = rig.command("acc", to=address), rig.command("acc", to=address, kind="reply")
        await rig.send(bulk)
        await rig.send(reply, queue="now")
        assert (await rig.end(bulk, "cancelled"))["reason"] == "suppressed"
        await rig.end(reply, "sent")
        assert await world.copies(bulk) == 0

    async def test_an_expired_message_is_cancelled(self, rig: Rig, world: World) -> None:
        """Its row is pending again, and nothing was sent."""
        await rig.replica()
        await rig.log_in("acc")
        command = rig.command("acc", not_after=utcnow() - timedelta(seconds=1))
        await rig.send(command)
        assert (await rig.end(command, "cancelled"))["reason"] == "expired"
        assert await world.copies(command) == 0

    async def test_poison_goes_to_the_dead_letters(self, rig: Rig) -> None:
        """Each once, and the next message goes out."""
        await rig.replica()
        await rig.log_in("acc")
        poison = [b"not json", b"{}", rig.command("other").model_dump_json().encode()]
        for data in poison:
            await rig.bus.publish(subjects.send(rig.channel, "acc", "bulk"), data)
        command = rig.command("acc")
        await rig.send(command)
        await rig.end(command, "sent")
        await eventually(lambda: _is(rig.waiting("acc"), 0), 5, "the queue to be empty")
        assert sorted(data for _, data in await rig.dead_letters()) == sorted(poison)

    async def test_what_came_in_is_announced_once(self, rig: Rig, world: World) -> None:
        """Also what came while nobody was there."""
        replica = await rig.replica()
        await rig.log_in("acc")
        await world.write_to("acc", "the first question")
        await eventually(lambda: rig.received("acc", "the first question"), 20, "the first message")
        await rig.drop(replica)
        await world.write_to("acc", "the second question")
        await rig.replica()
        await rig.log_in("acc")
        events: list[Received] = await eventually(lambda: rig.received("acc", "the second question"), 20, "the second")
        assert len(events) == 1
        assert len(await rig.received("acc", "the first question")) == 1
        assert events[0].conversation


async def _worker(rig: Rig, account_id: str, value: str) -> bool:
    state = await rig.state(account_id)
    return state is not None and state.worker == value


async def _is(work: Awaitable[int], value: int) -> bool:
    return await work == value
