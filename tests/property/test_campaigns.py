"""The campaign machine: every command in any order, twice, and on a version that is not the last."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.property.campaign_play import COMMANDS, CampaignPlay
from tests.property.stage import Stage


class CampaignMachine(RuleBasedStateMachine):
    """Every rule may be drawn at any time: a command that may not be given now must be refused as documented."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.run, self.play = stage.run, CampaignPlay(stage)

    @initialize(begun=st.booleans())
    def begin(self, begun: bool) -> None:
        self.run(self.play.begin())
        if begun:
            self.run(self.play.command("process"))

    @rule(what=st.sampled_from(sorted(COMMANDS)), twice=st.booleans())
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

    @rule(what=st.sampled_from(["duplicate", "duplicate", "duplicate", "delete"]))
    def copies(self, what: str) -> None:
        self.run(self.play.duplicate() if what == "duplicate" else self.play.delete())

    @rule()
    def dispatch(self) -> None:
        self.run(self.play.dispatch())

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
