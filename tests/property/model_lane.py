"""A lane as the contract describes it, one step at a time: what it wrote, told, and truly sent lies with its world."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from channelkit.drain import drain
from channelkit.suppressions import Suppressions
from contracts.commands import SendMessage
from contracts.inbox import Outcome
from contracts.state import LedgerEntry
from servicekit.clock import utcnow
from servicekit.errors import Conflict
from servicekit.ledger import Found, Ledger
from servicekit.secrets import AddressHasher

from tests.integration.campaigns.dispatch.kit import outcome
from tests.property.stage import EMAIL, Stage

End = Literal["sent", "failed", "unknown", "lost_answer", "released", "retry"]
ENDS: tuple[End, ...] = ("sent", "failed", "unknown", "lost_answer", "released", "retry")
"""`lost_answer`: the platform took it and nobody knows; `unknown`: it did not, and nobody knows either."""


@dataclass
class ModelLane:
    """The channel's replicas, one after another: `die` begins the next, who knows nothing of the last one's claims."""

    stage: Stage
    commands: dict[str, SendMessage] = field(default_factory=dict)
    """Every command ever pulled, by attempt: each may be delivered again at any time."""
    expired: set[str] = field(default_factory=set)
    """Batches past their `not_after`."""
    accepted: Counter[tuple[str, int]] = field(default_factory=Counter)
    """(row, wanted) → how often the platform took it."""
    told: list[Outcome] = field(default_factory=list)
    holder: int = 1
    out: dict[str, int] = field(default_factory=dict)
    """Attempts claimed by the present holder → the revision of its claim."""
    late: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Attempts whose holder lost its lease while the platform had not yet answered → holder, revision of its claim."""

    @property
    def _ledger(self) -> Ledger:
        return Ledger(self.stage.bus, EMAIL)

    async def pull(self, *accounts: str) -> None:
        """Take what was dispatched."""
        for account in accounts:
            self.commands |= {command.attempt: command for command in await self.stage.pulled(account)}

    def die(self) -> None:
        """Lose every claim that is out: the heir finds them in the ledger, under another's token."""
        self.out.clear()
        self.late.clear()
        self.holder += 1

    def lose_lease(self) -> None:
        """The heir begins, and what was out may still have its answer: two sessions overlap for one call."""
        self.late = {attempt: (self.holder, revision) for attempt, revision in self.out.items()}
        self.out.clear()
        self.holder += 1

    async def claim(self, command: SendMessage) -> bool:
        """Claim an attempt, or find out why not and tell; return whether it is claimed now and was not before."""
        if command.attempt in self.out:
            return False
        entry, found = await self._wish(command), None
        while True:
            try:
                revision = await self._ledger.write(command.ledger_key, entry, found.revision if found else 0)
            except Conflict:
                found = await self._ledger.read(command.ledger_key)
                if found is None or found.entry.state == "released":
                    continue
                if found.entry.is_end:
                    await self._tell(command, found.entry)
                    return False
                entry = self._entry("unknown", reason="holder_lost")
            else:
                break
        if entry.is_end:
            await self._tell(command, entry)
            return False
        self.out[command.attempt] = revision
        return True

    async def end(self, command: SendMessage, how: End, *, tell: bool = True) -> None:
        """End a claimed attempt; without *tell* the holder dies between ledger and event."""
        if how in ("sent", "lost_answer"):
            self.accepted[command.row, command.wanted] += 1
        holder, revision = self._claimed(command)
        entry = self._end(command, how).model_copy(update={"token": f"holder-{holder}"})
        try:
            await self._ledger.write(command.ledger_key, entry, revision)
        except Conflict:
            entry = await self._overruled(command, entry)
        if tell and entry.is_end:
            await self._tell(command, entry)

    def _claimed(self, command: SendMessage) -> tuple[int, int]:
        if command.attempt in self.out:
            return self.holder, self.out.pop(command.attempt)
        return self.late.pop(command.attempt)

    async def delete(self, account: str) -> None:
        """Drain an account that is being deleted, as its holder does."""
        self.die()
        await drain(self.stage.bus, EMAIL, account)

    async def tell_again(self, number: int) -> None:
        """Repeat what was told before."""
        await self._publish(self.told[number % len(self.told)])

    async def _wish(self, command: SendMessage) -> LedgerEntry:
        if command.batch in self.expired:
            return self._entry("cancelled", reason="expired")
        hasher = AddressHasher(self.stage.settings.address_hmac_keys)
        found = await Suppressions(self.stage.bus, EMAIL, hasher).of([command.to.address])
        if any(entry.forbids(command.kind) for entry in found.values()):
            return self._entry("cancelled", reason="suppressed")
        return self._entry("claimed", tries=command.tries)

    async def _overruled(self, command: SendMessage, entry: LedgerEntry) -> LedgerEntry:
        """Resolve a conflict with a canceller's wish, or with a sweeper who has ended it."""
        found = await self._ledger.read(command.ledger_key)
        assert found is not None, "the ledger forgot a claim"
        if found.entry.is_end and not (found.entry.state == "unknown" and entry.state == "sent"):
            return found.entry
        if found.entry.cancel and entry.state in ("released", "cancelled"):
            entry = self._entry("cancelled", reason=found.entry.cancel)
        await self._replaced(command, entry, found)
        return entry

    async def _replaced(self, command: SendMessage, entry: LedgerEntry, found: Found) -> None:
        await self._ledger.write(command.ledger_key, entry, found.revision)

    def _end(self, command: SendMessage, how: End) -> LedgerEntry:
        more: dict[str, Any] = {"tries": command.tries + 1}
        match how:
            case "retry":
                return self._entry("cancelled", reason="retry", not_before=utcnow(), **more)
            case "released":
                return self._entry("released", not_before=utcnow() + timedelta(milliseconds=1), **more)
            case "unknown" | "lost_answer":
                return self._entry("unknown", reason="connection_lost", **more)
            case "failed":
                return self._entry("failed", reason="no_such_user", **more)
        return self._entry("sent", **more)

    def _entry(self, state: str, **more: Any) -> LedgerEntry:
        return LedgerEntry.model_validate({"state": state, "token": f"holder-{self.holder}", "at": utcnow(), **more})

    async def _tell(self, command: SendMessage, entry: LedgerEntry) -> None:
        event = outcome(command, entry)
        self.told.append(event)
        await self._publish(event)

    async def _publish(self, event: Outcome) -> None:
        await self.stage.publish(event.NAME.removeprefix("message."), event, event.account_id)
