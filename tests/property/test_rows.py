"""The row machine: dispatchers that die or freeze, lanes that die, people, the sweeper; in any order, and everything twice."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.property.fuse import Fuse
from tests.property.model_lane import ENDS
from tests.property.row_play import ENDED, WENT_OUT, RowPlay
from tests.property.stage import Stage

WHICH = st.integers(0, 3)
UNSURE = ("unknown", "lost_answer", "released", "retry", "lost_answer", "retry")
"""After these a row lives on."""
HOW = st.sampled_from([*ENDS, *UNSURE])


class RowMachine(RuleBasedStateMachine):
    """Rules are few and mixed, so that the lane has every third step.

    Every rule may be drawn at any time, and does nothing where there is nothing to do: what may be drawn must not depend
    on how fast servers answer.
    """

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.run, self.play = stage.run, RowPlay(stage)

    @initialize(recipients=st.integers(2, 4), both=st.booleans(), dispatched=st.booleans())
    def begin(self, recipients: int, both: bool, dispatched: bool) -> None:
        self.run(self.play.begin(recipients, both))
        if dispatched:
            self.run(self.play.dispatch())

    @rule(which=WHICH)
    def claim(self, which: int) -> None:
        self.run(self.play.work(which, None))

    @rule(which=WHICH, how=HOW)
    def send(self, which: int, how: Any) -> None:
        """Claim and end at once: what a lane mostly does."""
        self.run(self.play.work(which, how))

    @rule(which=WHICH, how=HOW, tell=st.sampled_from([True, True, True, False]))
    def end(self, which: int, how: Any, tell: bool) -> None:
        """End what was claimed some time ago; without *tell* the holder dies between ledger and event."""
        self.run(self.play.end(which, how, tell=tell))

    @rule(what=st.sampled_from(["works", "dies", "freezes", "thaws"]), steps=st.integers(0, 60))
    def dispatcher(self, what: str, steps: int) -> None:
        play = self.play
        match what:
            case "works":
                self.run(play.dispatch())
            case "dies":
                self.run(play.stage.dispatch(play.campaign, Fuse(steps)))
                self.run(play.stage.lease_runs_out(play.campaign))
            case "freezes" if play.frozen is None:
                self.run(play.freeze(steps))
            case _:
                self.run(play.thaw())

    @rule(what=st.sampled_from(["dies", "is frozen", "tells again", "is asked for its ledger"]), which=WHICH)
    def holder(self, what: str, which: int) -> None:
        """Another holder begins; a frozen one may still have its answer, and write it down."""
        lane = self.play.lane
        match what:
            case "dies":
                lane.die()
            case "is frozen":
                lane.lose_lease()
            case "tells again" if lane.told:
                self.run(lane.tell_again(which))
            case _:
                self.run(self.play.sweep())

    @rule(what=st.sampled_from(["received", "received", "delivered", "read", "bounced"]), which=WHICH)
    def outside(self, what: str, which: int) -> None:
        self.run(self.play.outside(what, which))

    @rule(what=st.sampled_from(["pause", "resume", "retry"]))
    def person(self, what: str) -> None:
        self.run(self.play.stage.call("POST", f"/v1/campaigns/{self.play.campaign}/{what}"))

    @rule(which=WHICH, retry=st.sampled_from([True, True, False]), accept=st.sampled_from([True, True, False]))
    def row_person(self, which: int, retry: bool, accept: bool) -> None:
        what, fit = ("retry", ENDED - WENT_OUT) if retry else ("cancel", {"pending", "queued"})
        self.run(self.play.person_and_row(which, what, {"accept_second_copy": accept} if retry else {}, fit))

    @rule(what=st.sampled_from(["count", "count", "count", "purge", "cancel", "delete", "move", "gone"]))
    def seldom(self, what: str) -> None:
        """What leaves little to happen afterwards."""
        play = self.play
        match what:
            case "purge":
                self.run(play.purge())
            case "cancel":
                self.run(play.stage.call("POST", f"/v1/campaigns/{play.campaign}/cancel"))
            case "delete" | "move" if not play.gone:
                self.run(play.delete_account(play.accounts[0], play.accounts[1] if what == "move" else None))
            case "gone" if play.gone:
                self.run(play.stage.vanish(play.accounts[0]))
            case _:
                self.run(play.stage.count())

    @invariant()
    def holds(self) -> None:
        if self.play.campaign:
            self.run(self.play.check())

    def teardown(self) -> None:
        if self.play.campaign:
            self.run(self.play.end_of_play())


def test_rows_keep_their_promises(stage: Stage, play: Any) -> None:
    play(lambda: RowMachine(stage), examples=9, steps=40)
