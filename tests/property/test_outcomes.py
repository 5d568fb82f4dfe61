"""Results in any order, any number of times, of this batch and of older ones: a row becomes only what they allow."""

import itertools
from typing import Any

from campaigns.outbox import counts, messaging
from campaigns.outbox.rows import batch_of, new_row, placed
from contracts.inbox import Cancelled, Delivered, Failed, Read, Sent, Unknown
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from servicekit.clock import utcnow

from tests.property.stage import EMAIL, Stage

RESULTS = {
    "sent": Sent, "failed": Failed, "unknown": Unknown, "expired": Cancelled, "retry": Cancelled, "paused": Cancelled,
    "suppressed": Cancelled, "replied": Cancelled, "account_deleted": Cancelled, "delivered": Delivered, "read": Read,
}  # fmt: skip
MOST = 40
ROW = st.integers(0, MOST - 1)
HEARD = st.tuples(st.sampled_from(sorted(RESULTS)), st.sampled_from([0, 0, 0, 1]))
"""What, and how many batches ago."""
K = 3


def after(state: str, what: str) -> str:
    """Return what a result of its present batch makes of a row: queued < unknown < sent < delivered < read."""
    match what:
        case "sent" | "failed":
            return what if state in ("queued", "unknown") else state
        case "unknown":
            return what if state == "queued" else state
        case "delivered":
            return what if state in ("queued", "unknown", "sent") else state
        case "read":
            return what if state in ("queued", "unknown", "sent", "delivered") else state
        case "expired" | "retry" | "paused":
            return "pending" if state == "queued" else state
    return "cancelled" if state == "queued" else state


def may_be(states: set[str], heard: list[str]) -> set[str]:
    """Return what a row may be once it has heard all of these together: each order is one possibility."""
    found = set()
    for order in itertools.permutations(heard):
        for state in states:
            now = state
            for what in order:
                now = after(now, what)
            found.add(now)
    return found


class OutcomeMachine(RuleBasedStateMachine):
    """Up to forty rows queued in the third batch of a campaign: enough to be settled in ranges."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage
        stage.examples += 1
        self.campaign = f"c{stage.examples}"
        self.may: list[set[str]] = []
        self.heard = False

    @initialize(rows=st.integers(1, MOST))
    def begin(self, rows: int) -> None:
        self.may = [{"queued"} for _ in range(rows)]
        self.stage.run(self._begin(rows))

    async def _begin(self, rows: int) -> None:
        made = []
        for n in range(rows):
            row = new_row(
                f"{self.campaign}r{n}", campaign=self.campaign, account="acc", channel=EMAIL, kind="campaign",
                to={"address": f"p{n}@example.com"}, key=f"p{n}@example.com",
            )  # fmt: skip
            queued = {"state": "queued", "batch": batch_of(self.campaign, K), "k": K}
            made.append({**placed(row, n, n), **queued})
        await self.stage.ctx.db["rows"].insert_many(made)

    @rule(first=ROW, last=ROW, heard=HEARD, others=st.lists(st.tuples(ROW, HEARD), max_size=3))
    def hear(self, first: int, last: int, heard: Any, others: list[Any]) -> None:
        """Hear one result of a stretch of rows, and a few others, all in one batch of the reader."""
        some = [(n, heard) for n in range(min(first, last), max(first, last) + 1)]
        events = [(n % len(self.may), *what) for n, what in [*some, *others]]
        self.heard = True
        self.stage.run(self._hear(events))

    async def _hear(self, events: list[tuple[int, str, int]]) -> None:
        each: dict[int, list[str]] = {}
        for n, what, ago in dict.fromkeys(events):
            if not ago or what in ("delivered", "read"):  # receipts name what was wanted, not the batch
                each.setdefault(n, []).append(what)
        await messaging.hear(self.stage.ctx, [self._event(*one) for one in events])
        for n, heard in each.items():
            self.may[n] = may_be(self.may[n], heard)
        rows = {row["number"]: row["state"] for row in await self.stage.rows(self.campaign)}
        for n, may in enumerate(self.may):
            assert rows[n] in may, f"row {n} heard {each.get(n)} and is {rows[n]}, not one of {may}"
            self.may[n] = {rows[n]}

    def _event(self, n: int, what: str, ago: int) -> Any:
        kind, now = RESULTS[what], utcnow()
        common: dict[str, Any] = {"account_id": "acc", "channel": EMAIL, "row": f"{self.campaign}r{n}", "at": now}
        if kind in (Delivered, Read):
            return kind(**common)
        k = K - ago
        why = {"reason": "some" if kind in (Failed, Unknown) else what}
        attempt = {"campaign_id": self.campaign, "batch": batch_of(self.campaign, k), "k": k, "number": n}
        return kind(**common, **attempt, **({} if kind is Sent else why))

    def teardown(self) -> None:
        if self.may:
            self.stage.run(self._counted())

    async def _counted(self) -> None:
        await self.stage.count()
        truly: dict[str, int] = {}
        for row in await self.stage.rows(self.campaign):
            truly[row["state"]] = truly.get(row["state"], 0) + 1
        found = await counts.of_campaign(self.stage.ctx, self.campaign)
        assert found == truly or not self.heard, f"{found} counted, truly {truly}"


def test_results_in_any_order(stage: Stage, play: Any) -> None:
    play(lambda: OutcomeMachine(stage), examples=40, steps=12)
