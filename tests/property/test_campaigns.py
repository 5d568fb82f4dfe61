"""The campaign machine: every command in any order, twice, and on a version that is not the last."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.property.campaign_play import CampaignPlay
from tests.property.stage import Stage


class CampaignMachine(RuleBasedStateMachine):
    """Every rule may be drawn at any time: a command that may not be given now must be refused as documented."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.run, self.play = stage.run, CampaignPlay(stage)

    @initialize(ahead=st.sampled_from([False, False, True]), begun=st.sampled_from([True, True, True, True, False]))
    def begin(self, ahead: bool, begun: bool) -> None:
        self.run(self.play.begin())
        if ahead:
            self.run(self.play.schedule(ahead=True))
        if begun:
            self.run(self.play.command("process"))

    @rule(what=st.sampled_from(["process", "pause", "resume", "pause", "resume", "retry"]), twice=st.booleans())
    def command(self, what: str, twice: bool) -> None:
        self.run(self.play.command(what))
        if twice:
            self.run(self.play.command(what))

    @rule(
        field=st.sampled_from(["name", "text", "lists"]), version=st.sampled_from(["fresh", "fresh", "stale", "none"])
    )
    def edit(self, field: str, version: str) -> None:
        self.run(self.play.edit(field, version))

    @rule(ahead=st.booleans())
    def schedule(self, ahead: bool) -> None:
        self.run(self.play.schedule(ahead=ahead))

    @rule(what=st.sampled_from([*["duplicate"] * 6, "cancel", "cancel", "delete"]))
    def seldom(self, what: str) -> None:
        """What leaves little to happen afterwards."""
        match what:
            case "cancel":
                self.run(self.play.command("cancel"))
            case "delete":
                self.run(self.play.delete())
            case _:
                self.run(self.play.duplicate())

    @rule(counted=st.booleans())
    def dispatch(self, counted: bool) -> None:
        self.run(self.play.dispatch())
        if counted:
            self.run(self.play.stage.count())

    @rule(steps=st.integers(0, 4))
    def relay_dies(self, steps: int) -> None:
        self.run(self.play.dispatch())
        self.run(self.play.relay_dies(steps))

    @rule(well=st.sampled_from([True, False, False]))
    def dispatch_and_send(self, well: bool) -> None:
        """Let everybody do the work of a few seconds."""
        self.run(self.play.dispatch())
        self.run(self.play.lane_works(well=well))
        self.run(self.play.stage.count())

    @invariant()
    def holds(self) -> None:
        if self.play.id:
            self.run(self.play.check())

    def teardown(self) -> None:
        if self.play.id:
            self.run(self.play.end_of_play())


def test_campaigns_answer_as_documented(stage: Stage, play: Any) -> None:
    play(lambda: CampaignMachine(stage), examples=12, steps=30)
