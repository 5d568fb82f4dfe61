"""Login, states, and what a change of the desired state does."""

from typing import Any

from contracts import subjects
from contracts.requests import CheckRecipient, TestSettings
from contracts.state import SessionStatus

from channelkit.suite.base import Rules
from channelkit.suite.rig import ASKING, READY, Rig, World, eventually


class LoginRules(Rules):
    """Sessions follow what is wanted."""

    async def test_an_account_logs_in_and_says_so(self, rig: Rig) -> None:
        """State, event, proof of life and a log line."""
        await rig.replica()
        state = await rig.log_in("acc")
        assert state.last_proof_of_life
        assert state.challenge is None

        async def told() -> bool:
            logs = await rig.stored("EVENTS", subjects.log(rig.channel, "acc"))
            return (await rig.statuses("acc"))[-1:] == [READY] and any(b"is ready" in data for _, data in logs)

        await eventually(told, 5, "the event and the log line")

    async def test_a_wrong_or_stale_answer_is_refused(self, rig: Rig, world: World) -> None:
        """The challenge stays, and the right answer still works."""
        await rig.replica()
        await rig.want("acc")
        state = await rig.reach("acc", READY, *ASKING)
        if state.challenge is None or state.challenge.kind != "code":  # then no answer finds anybody to take it
            reply = await rig.answer("acc", "any", "123")
            assert reply.error == "stale_challenge"
            await rig.log_in("acc")
            return
        stale = await rig.answer("acc", "another", await world.right_answer("acc") or "")
        wrong = await rig.answer("acc", state.challenge.id, "no such code")
        assert (stale.ok, stale.error) == (False, "stale_challenge")
        assert not wrong.ok
        assert wrong.error
        await rig.log_in("acc")

    async def test_a_wrong_login_is_reported_and_the_right_one_works(self, rig: Rig, world: World) -> None:
        """Without trying the wrong one for ever; a change of credentials or settings logs in again."""
        await rig.replica()
        await rig.want("acc", new_login=True, **world.wrong_login("acc"))
        state = await rig.reach("acc", SessionStatus.LOGGED_OUT, SessionStatus.FAILED)
        assert state.reason
        await rig.want("acc", credentials=world.credentials("acc"), settings=world.settings("acc"))
        await rig.log_in("acc")

    async def test_credentials_sealed_for_another_account_do_not_open(self, rig: Rig) -> None:
        """A sealed text names its account."""
        await rig.replica()
        mine = await rig.want("acc")
        await rig.put(mine.model_copy(update={"account_id": "thief"}))
        state = await rig.reach("thief", SessionStatus.FAILED)
        assert "another context" in state.reason

    async def test_a_change_of_pace_keeps_the_session(self, rig: Rig) -> None:
        """A name, a pace, a worker switch: no new login."""
        await rig.replica()
        before = await rig.log_in("acc")
        await rig.want("acc", pace={"per_second": 50})
        after = await rig.reach("acc", READY)
        assert after.since == before.since
        assert (await rig.statuses("acc")).count(READY) <= 1

    async def test_an_inactive_account_is_closed_and_its_messages_wait(self, rig: Rig, world: World) -> None:
        """Active again, they go."""
        await rig.replica()
        await rig.log_in("acc")
        await rig.want("acc", status="inactive")
        await rig.reach("acc", SessionStatus.OFF)
        command = rig.command("acc")
        await rig.send(command)
        assert await rig.waiting("acc") == 1
        await rig.want("acc", status="active")
        await rig.log_in("acc")
        await rig.end(command, "sent")
        assert await world.copies(command) == 1

    async def test_unsaved_settings_are_tested(self, rig: Rig, world: World) -> None:
        """By any replica, step by step, with nothing kept."""
        await rig.replica()
        await rig.replica()
        right = {"credentials": world.credentials("new"), "settings": world.settings("new")}
        for values, good in ((right, True), ({**right, **world.wrong_login("new")}, False)):
            reply = await rig.request(subjects.test(rig.channel), _test_request(rig, **values))
            assert reply.ok is good, reply
            assert reply.steps

    async def test_a_malformed_request_gets_a_reason(self, rig: Rig) -> None:
        """Not a timeout."""
        await rig.replica()
        await rig.log_in("acc")
        reply = await rig.request(
            subjects.request(rig.channel, "acc", "answer"), CheckRecipient(account_id="acc", address="x")
        )
        assert reply.error == "malformed"


def _test_request(rig: Rig, credentials: dict[str, str], settings: dict[str, Any]) -> TestSettings:
    sealed = rig.sealed(credentials, f"test/{rig.channel}")
    return TestSettings(channel=rig.channel, settings=settings, credentials=sealed)
