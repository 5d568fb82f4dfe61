"""The claim: the last look at everything that forbids a message, right before it leaves, and the ledger's word on it."""

import asyncio
import itertools
from datetime import timedelta
from typing import Any

from contracts.ids import platform_key
from contracts.state import LedgerEntry
from servicekit.errors import Conflict, Unavailable
from servicekit.failpoints import failpoint
from servicekit.ledger import Found, Ledger

from channelkit import ends, ready
from channelkit.attempts import Attempt, Retained, Stage
from channelkit.gate import Gate
from channelkit.lane_context import LaneContext
from channelkit.protocol import NotClaimed

_CLEARED_SECONDS = 1.0
"""How old a look into the suppressions may be when the message leaves."""
_LOOK_AT_ONCE = 250
_ABOUT_TO_LEAVE = (Stage.READY, Stage.OUT)


class Claims:
    """Claims attempts of one lane. A refusal leaves in the attempt what it means: an `end`, a `due`, or neither."""

    def __init__(self, ctx: LaneContext, ledger: Ledger, kept: Retained, gate: Gate) -> None:
        """*kept*: the attempts this process knows, and the token of its claims."""
        self._ctx, self._ledger, self._kept, self._gate = ctx, ledger, kept, gate
        self._looking = asyncio.Lock()

    async def claim(self, attempt: Attempt) -> None:
        """Claim, or raise NotClaimed."""
        if attempt.due and (wait := attempt.due - self._ctx.clock.boottime()) > 0:
            await asyncio.sleep(wait)
        try:
            self._check_gate()
            self._check_time(attempt)
            if attempt.forbidden or attempt.cleared_at < self._ctx.clock.boottime() - _CLEARED_SECONDS:
                await self._check_suppressions(attempt)
            if not attempt.claimed:
                await self._claim(attempt)
        except Unavailable as error:
            raise NotClaimed("nats_away") from error
        if reason := self._gate.reason():
            self._release(attempt)
            raise NotClaimed(reason)
        failpoint("lane.after_claim")

    async def foresee(self, attempt: Attempt) -> None:
        """Raise NotClaimed where the claim is sure to be refused: expired or suppressed."""
        try:
            self._check_time(attempt)
            await self._check_suppressions(attempt)
        except Unavailable as error:
            raise NotClaimed("nats_away") from error

    async def part_sent(self, attempt: Attempt, platform_id: str) -> None:
        """Add a bubble to the claim."""
        attempt.parts_done.append(platform_id)
        cancel: str | None = None
        while True:
            entry = self._entry("claimed", attempt, cancel=cancel)
            try:
                attempt.revision = await self._ledger.write(attempt.key, entry, attempt.revision)
            except Conflict:
                found = await self._ledger.read(attempt.key)
                if found is None or found.entry.state != "claimed" or found.entry.token != self._kept.token:
                    raise NotClaimed("in_other_hands") from None
                cancel, attempt.revision = found.entry.cancel, found.revision
            except Unavailable:
                return  # the end will say it all
            else:
                failpoint("lane.after_part")
                return

    async def was_sent(self, attempt: Attempt) -> bool | None:
        """Ask the platform for every bubble not known to be out; known ones are added to the parts done."""
        command = attempt.command
        for part in range(len(attempt.parts_done), self._ctx.capabilities.parts(command.content)):
            known = await self._ctx.session.was_sent(platform_key(command.row, command.wanted, part), command)
            if not known:
                return None if known is None else False
            attempt.parts_done.append(known if isinstance(known, str) else "")
        return True

    def _check_gate(self) -> None:
        if reason := self._gate.reason():
            raise NotClaimed(reason)

    def _check_time(self, attempt: Attempt) -> None:
        if self._ctx.clock.utcnow() >= attempt.command.not_after:
            self._end(attempt, "cancelled", "expired")

    async def _check_suppressions(self, attempt: Attempt) -> None:
        oldest = self._ctx.clock.boottime() - _CLEARED_SECONDS
        if attempt.cleared_at < oldest:
            async with self._looking:
                if attempt.cleared_at < oldest:
                    await self._look(attempt, oldest)
        if attempt.forbidden:
            self._end(attempt, "cancelled", "suppressed", attempt.forbidden)

    async def _look(self, attempt: Attempt, oldest: float) -> None:
        """Look for all that is about to leave: one question for many."""
        at = self._ctx.clock.boottime()
        waiting = (a for a in self._kept.attempts.values() if a.stage in _ABOUT_TO_LEAVE and a.cleared_at < oldest)
        batch = [attempt, *itertools.islice(waiting, _LOOK_AT_ONCE)]
        found = await self._ctx.suppressions.of(a.command.to.address for a in batch)
        for one in batch:
            entry = found.get(one.command.to.address)
            one.cleared_at = at
            one.forbidden = entry.reason if entry and entry.forbids(one.command.kind) else ""

    async def _claim(self, attempt: Attempt) -> None:
        """Write the claim, as often as what stands in its way allows."""
        while True:
            try:
                attempt.revision = await self._ledger.put(attempt.key, self._claimed(attempt), attempt.revision)
                failpoint("lane.claim_written")
            except Conflict:
                if await self._contested(attempt, await self._ledger.read(attempt.key)):
                    return
            except Unavailable:
                found = await self._ledger.read(attempt.key)
                if found is None or found.entry.token != self._kept.token:
                    raise
                if await self._contested(attempt, found):
                    return
            else:
                attempt.claimed = True
                return

    def _claimed(self, attempt: Attempt) -> bytes:
        if attempt.parts_done:
            return self._entry("claimed", attempt).model_dump_json(exclude_defaults=True).encode()
        return ready.claimed(self._kept.token, attempt.tries, self._ctx.clock.utcnow())

    async def _contested(self, attempt: Attempt, found: Found | None) -> bool:
        """Return True where the claim is ours after all, False where it may be tried again. Raises NotClaimed."""
        if found is None:
            attempt.revision = 0
            return False
        entry = found.entry
        attempt.revision, attempt.tries = found.revision, max(attempt.tries, entry.tries)
        attempt.parts_done[:] = entry.parts_done
        if entry.is_end:
            attempt.end, attempt.written = entry, True
            raise NotClaimed(f"already_{entry.state}")
        if entry.state == "released":
            self._wait_for(attempt, entry)
            return False
        if entry.token == self._kept.token:
            attempt.claimed = True
            if entry.cancel:
                self._end(attempt, "cancelled", entry.cancel)
            return True
        return await self._anothers(attempt, entry)

    async def _anothers(self, attempt: Attempt, entry: LedgerEntry) -> bool:
        """Decide about the claim of a holder that is gone: whether it sent may never be known."""
        if self._ctx.capabilities.can_ask:
            known = await self.was_sent(attempt)
            if known is True:
                self._end(attempt, "sent", platform_ids=list(attempt.parts_done))
            if known is False and not entry.cancel:
                return False  # the next write takes the claim over
        if self._ctx.capabilities.idempotent_send and not entry.cancel:
            attempt.doubtful = True
            return False
        self._end(attempt, "unknown", "holder_lost")
        return False

    def _wait_for(self, attempt: Attempt, entry: LedgerEntry) -> None:
        left = (entry.not_before - self._ctx.clock.utcnow()) if entry.not_before else timedelta(0)
        if left > timedelta(milliseconds=1):
            attempt.due = self._ctx.clock.boottime() + left.total_seconds()
            attempt.stage = Stage.WAITING
            raise NotClaimed("not_before")

    def _release(self, attempt: Attempt) -> None:
        """Something closed the gate between claim and content: nothing was sent, whoever comes next may."""
        if not attempt.doubtful:
            attempt.end = self._entry("released", attempt)

    def _end(self, attempt: Attempt, state: str, reason: str = "", detail: str = "", **more: Any) -> None:
        entry = self._entry(state, attempt, reason=reason, detail=detail, **more)
        if state == "cancelled":
            entry = ends.unsent(
                entry,
                state,
                reason,
                idempotent=self._ctx.capabilities.idempotent_send,
                doubtful=attempt.doubtful,
            )
        attempt.end = entry
        raise NotClaimed(reason or state)

    def _entry(self, state: str, attempt: Attempt, **more: Any) -> LedgerEntry:
        return LedgerEntry.model_validate(
            {
                "state": state,
                "token": self._kept.token,
                "tries": attempt.tries,
                "parts_done": list(attempt.parts_done),
                "at": self._ctx.clock.utcnow(),
                **more,
            }
        )
