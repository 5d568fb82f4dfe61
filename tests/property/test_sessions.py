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
ANSWERS = [*["taken"] * 6, "refused", "later", "later", "no answer", "logged out", "restricted"]
HOW = st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=4)


class SessionMachine(RuleBasedStateMachine):
    """Every rule may be drawn at any time, and does nothing where there is nothing to do."""

    def __init__(self, nats_url: str, runner: asyncio.Runner) -> None:
        super().__init__()
        self._url, self._runner = nats_url, runner
        self.play: SessionPlay | None = None

    def run(self, work: Any) -> Any:
        return self._runner.run(asyncio.wait_for(work, 120))

    @initialize(code=st.sampled_from([False, False, True]), replicas=st.integers(1, 2))
    def begin(self, code: bool, replicas: int) -> None:
        self.play = SessionPlay(self._url, code=code)
        self.run(self.play.open(replicas))

    @rule(
        which=WHICH, status=st.sampled_from(["active", "active", "inactive"]), worker=st.booleans(), wait=st.booleans()
    )
    def wanted(self, which: int, status: str, worker: bool, wait: bool) -> None:
        self.run(self.play.want(which, status=status, worker=worker))
        if wait:
            self.run(self.play.settled(which))

    @rule(which=WHICH, what=st.sampled_from(["on", "on", "off", "right", "right", "wrong", "deleted"]))
    def person(self, which: int, what: str) -> None:
        """Turn the switch for all, log in anew with right or wrong credentials, or (seldom) delete."""
        play = self.play
        match what:
            case "on" | "off":
                self.run(play.switch_all(worker=what == "on"))
            case "deleted":
                self.run(play.want(which, status="deleting"))
            case _:
                account = play.accounts[which]
                right = {"credentials": play.world.credentials(account)}
                login = right if what == "right" else play.world.wrong_login(account)
                self.run(play.want(which, status="active", **login))

    @rule(which=WHICH, text=st.sampled_from(["12345", "12345", "wrong"]), stale=st.sampled_from([False, False, True]))
    def answer(self, which: int, text: str, stale: bool) -> None:
        self.run(self.play.answer(which, text, stale=stale))

    @rule(which=WHICH, what=st.sampled_from(["unreachable", "silent", "well", "well", "logged out"]))
    def platform(self, which: int, what: str) -> None:
        platform = self.play.world.platform
        platform.unreachable, platform.silent = what == "unreachable", what == "silent"
        if what == "logged out":  # from another device
            platform.logged_in.discard(self.play.accounts[which])

    @rule(which=WHICH, how=HOW)
    def send(self, which: int, how: list[str]) -> None:
        for one in how:
            self.run(self.play.send(which, one))

    @rule(how=HOW, milliseconds=st.sampled_from([5, 20, 60]))
    def send_meanwhile(self, how: list[str], milliseconds: int) -> None:
        """Have messages sent by both, and go on while they are on their way."""
        for one in how:
            self.run(self.play.send(0, one))
            self.run(self.play.send(1, one))
        self.run(asyncio.sleep(milliseconds / 1_000))

    @rule(what=st.sampled_from(["joins", "leaves", "is cut", *["lease taken"] * 4]), which=st.integers(0, 2))
    def replica(self, what: str, which: int) -> None:
        play = self.play
        works = {"leaves": play.leave, "is cut": play.is_cut, "lease taken": play.lease_taken}
        self.run(works[what](which) if what in works else play.join())

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
