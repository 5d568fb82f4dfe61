"""The session machine: people, the platform, leases and replicas change in any order; it always becomes what is wanted."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.property.session_play import SessionPlay
from tests.support.servers import NatsServer

WHICH = st.integers(0, 1)
ANSWERS = ["taken", "taken", "refused", "later", "no answer", "logged out", "restricted"]


class SessionMachine(RuleBasedStateMachine):
    """Every rule may be drawn at any time, and does nothing where there is nothing to do."""

    def __init__(self, nats_url: str, runner: asyncio.Runner) -> None:
        super().__init__()
        self._url, self._runner = nats_url, runner
        self.play: SessionPlay | None = None

    def run(self, work: Any) -> Any:
        return self._runner.run(asyncio.wait_for(work, 120))

    @initialize(code=st.booleans())
    def begin(self, code: bool) -> None:
        self.play = SessionPlay(self._url, code=code)
        self.run(self.play.open())
        self.run(self.play.want(0, status="active"))

    @rule(which=WHICH, status=st.sampled_from(["active", "active", "inactive"]), worker=st.booleans())
    def wanted(self, which: int, status: str, worker: bool) -> None:
        self.run(self.play.want(which, status=status, worker=worker))

    @rule(which=WHICH, right=st.sampled_from([True, True, False]))
    def new_login(self, which: int, right: bool) -> None:
        world = self.play.world
        made = world.credentials("") if right else world.wrong_credentials("")
        self.run(self.play.want(which, status="active", credentials=made))

    @rule(which=WHICH, dice=st.integers(1, 4))
    def deleted(self, which: int, dice: int) -> None:
        if dice == 4:  # seldom: nothing can be wanted of it any more
            self.run(self.play.want(which, status="deleting"))

    @rule(worker=st.booleans())
    def switch_for_all(self, worker: bool) -> None:
        self.play.world.stopped.clear()
        self.run(self.play.rig.switch_all(worker=worker))

    @rule(which=WHICH, text=st.sampled_from(["12345", "12345", "wrong"]), stale=st.sampled_from([False, False, True]))
    def answer(self, which: int, text: str, stale: bool) -> None:
        self.run(self.play.answer(which, text, stale=stale))

    @rule(what=st.sampled_from(["unreachable", "silent", "well", "well"]))
    def platform(self, what: str) -> None:
        platform = self.play.world.platform
        platform.unreachable, platform.silent = what == "unreachable", what == "silent"

    @rule(which=WHICH)
    def logged_out_elsewhere(self, which: int) -> None:
        self.play.world.platform.logged_in.discard(self.play.accounts[which])

    @rule(which=WHICH, how=st.sampled_from(ANSWERS))
    def send(self, which: int, how: str) -> None:
        self.run(self.play.send(which, how))

    @rule(what=st.sampled_from(["joins", "leaves", "is cut", "lease taken", "lease taken"]), which=st.integers(0, 2))
    def replica(self, what: str, which: int) -> None:
        play = self.play
        works = {"joins": play.join, "leaves": play.leave, "is cut": play.is_cut, "lease taken": play.lease_taken}
        self.run(works[what]() if what == "joins" else works[what](which))

    @rule(milliseconds=st.sampled_from([20, 100, 400]))
    def time_passes(self, milliseconds: int) -> None:
        self.run(asyncio.sleep(milliseconds / 1_000))

    @rule(which=WHICH)
    def settles(self, which: int) -> None:
        self.run(self.play.settled(which))

    @invariant()
    def holds(self) -> None:
        if self.play:
            self.play.check()

    def teardown(self) -> None:
        if self.play:
            try:
                self.run(self.play.end_of_play())
            finally:
                self.run(self.play.close())


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsServer]:
    """Run a NATS server of this test's own."""
    server = NatsServer(tmp_path / "nats")
    server.start()
    yield server
    server.stop()


def test_sessions_become_what_is_wanted(nats: NatsServer, play: Any) -> None:
    with asyncio.Runner() as runner:
        play(lambda: SessionMachine(nats.url, runner), examples=5, steps=25)
