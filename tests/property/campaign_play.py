"""One campaign among its people, its dispatcher and a lane: what each command must answer, and where it ends."""

from datetime import timedelta
from typing import Any

import httpx
from servicekit.clock import utcnow

from tests.property.fuse import Fuse
from tests.property.model_lane import ModelLane
from tests.property.stage import Stage

RUNNING = ("scheduled", "processing", "paused")
ENDED = {"sent", "failed", "unknown", "cancelled"}
COMMANDS = {
    "process": {"draft": "begun", "scheduled": "scheduled", "processing": "processing"},
    "pause": {"processing": "paused", "scheduled": "paused", "paused": "paused"},
    "resume": {"paused": "begun", "scheduled": "scheduled", "processing": "processing"},
    "cancel": {"draft": "cancelled", **dict.fromkeys(RUNNING, "cancelled"), "cancelled": "cancelled"},
    "retry": {"done": "processing", "processing": "processing", "paused": "paused"},
}
"""Command → status before → status after; `begun` is processing, or scheduled where the start lies ahead. Else: 409."""
FUTURE, PAST = timedelta(days=2), timedelta(seconds=-1)


class CampaignPlay:
    """A campaign of two recipients."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.lane = stage, ModelLane(stage)
        stage.examples += 1
        self.account, self.id = f"k{stage.examples}", ""
        self.status, self.version, self.finished = "draft", 1, 0
        self.ahead, self.begun = False, False

    @property
    def path(self) -> str:
        """Return where it is."""
        return f"/v1/campaigns/{self.id}"

    async def begin(self) -> None:
        """Create the draft."""
        await self.stage.account(self.account)
        self.id = await self.stage.campaign([self.account], 2)
        await self.read()

    async def read(self) -> Any:
        """Read it as people do, and remember which version was read."""
        answer = await self.stage.call("GET", self.path)
        if self.status == "deleted":
            assert answer.status_code == 404
            return {}
        found = answer.json()
        assert found["status"] == self.status, f"it is {found['status']}, and should be {self.status}"
        assert answer.headers["ETag"] == f'"{found["version"]}"'
        assert found["version"] >= self.version, "the version fell"
        self.version = found["version"]
        return found

    async def command(self, what: str) -> None:
        """Press a button, and see the answer that its status calls for; pressed twice it is the same."""
        answer = await self.stage.call("POST", f"{self.path}/{what}")
        if self.status == "deleted":
            assert answer.status_code == 404
            return
        after = COMMANDS[what].get(self.status)
        late = (what, self.status) == ("resume", "scheduled") and not self.ahead  # its start has passed just now
        if after is None or late:
            self._refused(answer, 409, what)
            return
        assert answer.status_code == 200, f"{what} of a {self.status} one: {answer.text}"
        self.status = after if after != "begun" else "scheduled" if self.ahead else "processing"
        self.begun = self.begun or self.status == "processing"
        assert answer.json()["status"] == self.status, f"{what}: {answer.json()['status']}, not {self.status}"

    def _refused(self, answer: httpx.Response, code: int, what: str) -> None:
        assert answer.status_code == code, f"{what} of a {self.status} one: {answer.status_code} {answer.text}"
        assert answer.headers["content-type"].startswith("application/problem+json")

    async def delete(self) -> None:
        """Delete it: drafts only."""
        answer = await self.stage.call("DELETE", self.path)
        if self.status == "draft":
            assert answer.status_code == 204
            self.status = "deleted"
        else:
            self._refused(answer, 404 if self.status == "deleted" else 409, "delete")

    async def edit(self, field: str, version: str) -> None:
        """Edit one field, based on the version last read, an older one, or none."""
        if self.status == "deleted":
            return
        known, lists = (await self.read())["version"], field == "lists"
        given = {"fresh": f'"{known}"', "stale": f'"{known - 1}"', "none": ""}[version]
        body: dict[str, Any] = {field: {"name": f"v{known}", "text": f"v{known}", "lists": [f"l{known}"]}[field]}
        answer = await self.stage.call("PATCH", self.path, json=body, headers={"If-Match": given} if given else {})
        editable = {"name"} | ({"text"} if self.status in ("draft", "scheduled", "paused") else set())
        if version == "none":
            self._refused(answer, 428, "edit")
        elif version == "stale":
            self._refused(answer, 412, "edit")
        elif field in editable:
            assert answer.status_code == 200, answer.text
            assert answer.json()["version"] == known + 1
        elif not lists or self.status not in ("draft", "scheduled"):
            self._refused(answer, 422, "edit")
        elif answer.status_code == 200:  # a list that does not exist: taken back at once
            back = {"If-Match": answer.headers["ETag"]}
            assert (await self.stage.call("PATCH", self.path, json={"lists": []}, headers=back)).status_code == 200

    async def schedule(self, *, ahead: bool) -> None:
        """Move its start into the future or the past, where that may still be done."""
        if self.status not in ("draft", "scheduled", "paused"):
            return
        found = await self.read()
        start = (utcnow() + (FUTURE if ahead else PAST)).isoformat()
        body = {"schedule": {"start": start}, "version": found["version"]}
        assert (await self.stage.call("PATCH", self.path, json=body)).status_code == 200
        self.ahead = ahead

    async def duplicate(self) -> None:
        """Make another of it: a draft, and this one stays as it is."""
        answer = await self.stage.call("POST", f"{self.path}/duplicate")
        if self.status == "deleted":
            assert answer.status_code == 404
            return
        assert answer.status_code == 201
        made = answer.json()
        assert made["status"] == "draft"
        assert (await self.stage.call("DELETE", f"/v1/campaigns/{made['id']}")).status_code == 204

    async def dispatch(self) -> None:
        """Make one pass: the only thing that begins a scheduled campaign, and the only one that finishes it."""
        if self.status == "deleted":
            return
        await self.stage.dispatch(self.id)
        await self.lane.pull(self.account)
        found = (await self.stage.call("GET", self.path)).json()["status"]
        if found == self.status:
            return
        assert not self.ahead, f"it became {found} before its start"
        assert (self.status, found) in {("scheduled", "processing"), ("processing", "done")}
        self.status, self.begun = found, True
        if found == "done":
            await self._check_finish()

    async def _check_finish(self) -> None:
        self.finished += 1
        states = [row["state"] for row in await self.stage.rows(self.id)]
        assert len(states) == 2
        assert set(states) <= ENDED, f"finished, and its rows are {states}"

    async def lane_works(self, *, well: bool) -> None:
        """Let the lane end everything that was dispatched."""
        for command in list(self.lane.commands.values()):
            if await self.lane.claim(command):
                await self.lane.end(command, "sent" if well else "failed")
        await self.stage.heard()

    async def relay_dies(self, steps: int) -> None:
        """Let the relay of domain events die between two operations; its heir repeats what it does not know of."""
        await self.stage.relay(Fuse(steps))

    async def check(self) -> None:
        """Say what must be true: its status, as many finishes told as there were, and nothing sent before it began."""
        await self.stage.heard()
        await self.read()
        if not self.begun:
            assert not self.lane.commands, "dispatched before it began"
        await self.stage.relay()
        told = [one for one in await self.stage.domain_events("campaign", "finished") if one["campaign_id"] == self.id]
        assert len(told) == self.finished, f"finished {self.finished} times, and told {len(told)} times"
        if self.status == "done":
            states = [row["state"] for row in await self.stage.rows(self.id)]
            assert told[-1]["counts"] == {state: states.count(state) for state in set(states)}

    async def end_of_play(self) -> None:
        """Let it begin, or end: it finishes once, and only once each of its rows has its end."""
        if self.status in RUNNING and self.ahead:
            if self.status == "scheduled":
                await self.command("pause")
            if self.status == "paused":
                await self.schedule(ahead=False)
        if self.status in ("paused", "scheduled"):
            await self.command("resume")
        if self.status == "scheduled":  # its start has passed meanwhile
            await self.dispatch()
        for _ in range(8):
            if self.status != "processing":
                break
            await self.dispatch()
            await self.lane_works(well=True)
            await self.stage.count()
        assert self.status in ("draft", "deleted", "cancelled", "done"), f"no end: {self.status}"
        await self.check()
