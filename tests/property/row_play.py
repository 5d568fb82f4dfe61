"""What happens to the rows of one campaign, step by step, and what must be true of them after every step."""

import asyncio
from typing import Any

from contracts import subjects
from contracts.commands import Recipient, SendMessage
from contracts.events import AccountDeleting
from contracts.ids import digest
from contracts.inbox import Bounced, Delivered, Read, Received
from servicekit.clock import utcnow

from tests.property.fuse import Fuse
from tests.property.model_lane import ModelLane
from tests.property.stage import EMAIL, Stage

ENDED = {"sent", "delivered", "read", "failed", "unknown", "cancelled"}
WENT_OUT = {"sent", "delivered", "read"}
MAY_BECOME = {
    "sent": {"delivered", "read"}, "delivered": {"read"}, "read": set(), "failed": set(), "cancelled": set(),
    "unknown": {"sent", "delivered", "read", "failed"},
}  # fmt: skip
"""What a state may become while `wanted` stays; pending and queued may become anything."""
AGAIN = 3
"""The choice that means: one that was delivered before."""


class RowPlay:
    """One campaign of a few rows over two accounts; the first of them may be deleted."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.lane = stage, ModelLane(stage)
        self.campaign, self.accounts, self.gone = "", [""], set[str]()
        self.seen: dict[str, dict[str, Any]] = {}
        self.frozen: tuple[asyncio.Task[None], Fuse] | None = None
        stage.examples += 1

    async def begin(self, recipients: int, both: bool) -> None:
        one = f"a{self.stage.examples}"
        self.accounts = [one, f"{one}b"]
        for account in self.accounts:
            await self.stage.account(account)
        self.campaign = await self.stage.campaign(self.accounts if both else [one], recipients)
        answer = await self.stage.call("POST", f"/v1/campaigns/{self.campaign}/process")
        assert answer.status_code == 200

    async def dispatch(self) -> None:
        await self.stage.dispatch(self.campaign)
        await self.lane.pull(*self.accounts)

    async def freeze(self, steps: int) -> None:
        fuse = Fuse(steps, frozen=True)
        task = asyncio.create_task(self.stage.dispatch(self.campaign, fuse))
        blown = asyncio.create_task(fuse.blown.wait())
        await asyncio.wait({task, blown}, return_when=asyncio.FIRST_COMPLETED)
        blown.cancel()
        if task.done():
            await task
            return
        self.frozen = task, fuse
        await self.stage.lease_runs_out(self.campaign)

    async def thaw(self) -> None:
        if self.frozen:
            task, fuse = self.frozen
            self.frozen = None
            fuse.thaw()
            await task
        await self.lane.pull(*self.accounts)

    async def _command(self, which: int) -> SendMessage | None:
        """Choose a command that waits; or (the last choice, and where none does) one that was delivered before."""
        if not self._waiting():
            await self.dispatch()
        known = self._waiting() if which < AGAIN else []
        known = known or [*reversed(self.lane.commands.values())]
        return known[which % len(known)] if known else None

    def _waiting(self) -> list[SendMessage]:
        queued = {(row["_id"], row["batch"]) for row in self.seen.values() if row["state"] == "queued"}
        commands = self.lane.commands.values()
        return [c for c in commands if (c.row, c.batch) in queued and c.attempt not in self.lane.out]

    async def work(self, which: int, how: Any) -> None:
        command = await self._command(which)
        if command is not None:
            await self._claim(command)
            if how is not None and command.attempt in self.lane.out:
                await self.lane.end(command, how)

    async def _claim(self, command: SendMessage) -> None:
        if not await self.lane.claim(command):
            return
        row = await self.stage.ctx.db["rows"].find_one({"_id": command.row})
        assert row is not None
        at = (row["state"], row["batch"], row["wanted"])
        assert at == ("queued", command.batch, command.wanted), f"{command.attempt} is claimed, and its row is {at}"

    async def end(self, which: int, how: Any, *, tell: bool) -> None:
        if out := [*self.lane.out, *self.lane.late]:
            await self.lane.end(self.lane.commands[out[which % len(out)]], how, tell=tell)
        else:
            await self.work(which, None)

    async def outside(self, what: str, which: int) -> None:
        """Let the platform, or somebody on it, say something of a message it has."""
        if not self.lane.accepted:
            return
        name, wanted = list(self.lane.accepted)[which % len(self.lane.accepted)]
        row, now = self.seen[name], utcnow()
        common: dict[str, Any] = {"account_id": row["account"], "channel": EMAIL, "at": now}
        event: Any = Delivered(**common, row=name, wanted=wanted)
        match what:
            case "read":
                event = Read(**common, row=name, wanted=wanted)
            case "bounced":
                event = Bounced(**common, row=name, address=row["key"], hard=which % 2 == 0)
            case "received":
                event = Received(
                    **common, id=digest("reply", name, wanted), platform_id="<1@x>", text="ok", answers_row=name,
                    sender=Recipient(address=row["key"]), conversation=row["key"],
                )  # fmt: skip
        await self.stage.publish(what, event, row["account"])

    async def person_and_row(self, which: int, what: str, body: dict[str, Any], fit: set[str]) -> None:
        """Ask for it where it makes sense, or where nothing makes sense: then it is refused."""
        rows = [n for n, row in self.seen.items() if row["state"] in fit] or list(self.seen)
        if rows:
            answer = await self.stage.call("POST", f"/v1/outbox/{rows[which % len(rows)]}/{what}", json=body)
            assert answer.status_code in (200, 409, 422), answer.text

    async def delete_account(self, account: str, move_to: str | None) -> None:
        self.gone.add(account)
        await self.stage.account(account, 2, "deleting")
        event = AccountDeleting(account_id=account, channel=EMAIL, move_to=move_to, at=utcnow())
        await self.stage.bus.publish(subjects.domain("accounts", "account", "deleting"), event)
        await self.stage.taken("EVENTS", "campaigns_accounts")
        await self.lane.delete(account)
        await self.stage.taken("INBOX", "campaigns")

    async def sweep(self) -> None:
        self.lane.expired |= await self.stage.batches(self.campaign)
        await self.stage.sweep()

    async def purge(self) -> None:
        await self.sweep()
        self.lane.die()  # no send lasts for an hour
        await self.stage.purge()

    async def check(self) -> None:
        await self.stage.heard()
        rows = {row["_id"]: row for row in await self.stage.rows(self.campaign)}
        assert len(rows) >= len(self.seen), "a row is lost"
        for name, row in rows.items():
            self._check_row(row, self.seen.get(name))
        self.seen = rows

    def _check_row(self, row: dict[str, Any], before: dict[str, Any] | None) -> None:
        state, wanted = row["state"], row["wanted"]
        copies = self.lane.accepted[row["_id"], wanted]
        assert copies <= 1, f"{copies} copies of {row['_id']} wanted {wanted}"
        if state in WENT_OUT:
            assert copies == 1, f"{state}, and never sent"
        if copies:
            assert state not in ("pending", "failed", "cancelled"), f"{state}, and it was sent"
        if before is None:
            return
        assert row["k"] >= before["k"], "an older batch has written"
        assert wanted >= before["wanted"]
        if wanted == before["wanted"] and state != before["state"] and before["state"] in MAY_BECOME:
            assert state in MAY_BECOME[before["state"]], f"{before['state']} became {state}"

    async def end_of_play(self) -> None:
        """Let everybody work until nothing changes: every row has its end, and the counts are those of the rows."""
        await self.thaw()
        for turn in range(12):
            await self._turn(turn)
            await self.check()
            found = await self._campaign()
            if found["status"] in ("done", "cancelled") and {row["state"] for row in self.seen.values()} <= ENDED:
                break
        else:
            states = [(row["state"], row["batch"], row["account"]) for row in self.seen.values()]
            raise AssertionError(f"no end: the campaign is {found['status']}, its rows {states}")
        assert await self._counted() == self._truly()

    async def _turn(self, turn: int) -> None:
        if (await self._campaign())["status"] == "paused":
            answer = await self.stage.call("POST", f"/v1/campaigns/{self.campaign}/resume")
            if answer.status_code == 422:  # its account is gone, and no row was made yet: only an end is left to it
                assert self.gone, answer.text
                await self.stage.call("POST", f"/v1/campaigns/{self.campaign}/cancel")
        await self.dispatch()
        for command in list(self.lane.commands.values()):
            await self._claim(command)
            if command.attempt in self.lane.out:
                await self.lane.end(command, "sent")
        await self.stage.heard()
        if turn % 3 == 2:
            await self.sweep()
        await self.stage.count()

    async def _campaign(self) -> Any:
        return (await self.stage.call("GET", f"/v1/campaigns/{self.campaign}")).json()

    async def _counted(self) -> dict[str, int]:
        await self.stage.count()
        found = (await self._campaign())["counts"]
        return {state: n for state, n in found.items() if state not in ("bounced", "answered")}

    def _truly(self) -> dict[str, int]:
        states = [row["state"] for row in self.seen.values()]
        return {state: states.count(state) for state in set(states)}
