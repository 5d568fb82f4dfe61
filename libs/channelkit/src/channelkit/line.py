"""What was pulled and waits its turn: `now` before `bulk`, refused ones again when due, bulk within its pace and cap."""

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable

from contracts.state import Pace

from channelkit.attempts import Attempt, Stage
from channelkit.gate import Gate
from channelkit.lane_context import LaneContext
from channelkit.lane_memory import DailyCap
from channelkit.pacing import Pacer, day_of, next_day, quiet_until, zone_of

_LONGEST_NAP_SECONDS = 1.0


class Line:
    """Hands attempts to senders."""

    def __init__(self, ctx: LaneContext, gate: Gate, pacer: Pacer, cap: DailyCap, dry: Callable[[], None]) -> None:
        """Empty; `add` fills it. *dry*: asks for the next block of the day's cap."""
        self._dry = dry
        self._ctx, self._gate, self._pacer, self._cap = ctx, gate, pacer, cap
        self.now: deque[Attempt] = deque()
        self.bulk: deque[Attempt] = deque()
        self._later: list[tuple[float, int, Attempt]] = []
        self._count = itertools.count()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._day = ""
        self._busy: set[str] = set()
        """Recipients of a chat to whom a message is on its way: the next one would overtake it."""
        self.bulk_waits_for = "starting"
        self.bulk_opens_at = ctx.clock.utcnow()

    def __len__(self) -> int:
        return len(self.now) + len(self.bulk) + len(self._later)

    def add(self, attempt: Attempt, *, first: bool = False) -> None:
        """Line up an attempt, and wake a sender for it."""
        attempt.stage = Stage.READY
        queue = self.now if attempt.queue == "now" else self.bulk
        queue.appendleft(attempt) if first else queue.append(attempt)
        self._wake_one()

    def add_later(self, attempt: Attempt, due: float) -> None:
        """Line up an attempt from *due* (boottime) on."""
        attempt.stage, attempt.due = Stage.WAITING, due
        heapq.heappush(self._later, (due, next(self._count), attempt))
        self._wake_one()

    def clear(self) -> list[Attempt]:
        """Empty the line and return what was in it."""
        waiting = [*self.now, *self.bulk, *(attempt for _, _, attempt in self._later)]
        self.now.clear()
        self.bulk.clear()
        self._later.clear()
        return waiting

    def clear_bulk(self) -> list[Attempt]:
        """Return the bulk messages that stood in line, and forget them."""
        waiting = list(self.bulk)
        self.bulk.clear()
        return waiting

    def look(self, pace: Pace) -> None:
        """See anew whether bulk may be sent (quiet hours, cap): once a second and after any change."""
        now = self._ctx.clock.utcnow()
        self._day = day_of(pace, now)
        quiet = quiet_until(pace.quiet_hours, now, zone_of(pace))
        self.bulk_waits_for = ""
        if quiet is not None:
            self.bulk_waits_for, self.bulk_opens_at = "quiet_hours", quiet
        elif self._cap.used_up:
            self.bulk_waits_for, self.bulk_opens_at = "daily_cap", next_day(pace, now)

    def choose(self, horizon: float = 0.0) -> Attempt | None:
        """Take the next attempt that may leave within *horizon* seconds; its `due` says when."""
        if not horizon and self._gate.reason():  # what is only reserved passes it again when it is claimed
            return None
        self._move_due()
        if self.now and not self._is_busy(self.now[0]):
            attempt = self.now.popleft()
            attempt.due = 0.0
        elif self.now or (self.bulk and self._is_busy(self.bulk[0])):
            return None
        elif self.bulk and self._expired(self.bulk[0]):  # costs no pace: else a long pause is followed by another
            if horizon:
                return None  # it must not ride along: an open envelope would be dropped with its connection
            attempt = self.bulk.popleft()
            attempt.due = 0.0
        elif self.bulk and not self.bulk_waits_for and self._pacer.wait() <= horizon and self._counted(self.bulk[0]):
            attempt = self.bulk.popleft()
            attempt.due = self._pacer.reserve()
        else:
            return None
        attempt.stage = Stage.OUT
        if self._ctx.capabilities.bubbles:
            self._busy.add(attempt.command.to.address)
        return attempt

    def free(self, attempt: Attempt) -> None:
        """A chosen attempt is no longer on its way: the next one to its recipient may be chosen."""
        if attempt.command.to.address in self._busy:
            self._busy.discard(attempt.command.to.address)
            self._wake_one()

    def _is_busy(self, attempt: Attempt) -> bool:
        return attempt.command.to.address in self._busy

    async def take(self) -> Attempt:
        """Wait for the next attempt that may leave now."""
        while (attempt := self.choose()) is None:
            await self._nap()
        return attempt

    async def changed(self) -> None:
        """Wait for anything that may be worth another look."""
        await self._nap()

    def wake_all(self) -> None:
        """Let every idle sender look again."""
        while self._idle:
            self._wake_one()

    def uncount(self, attempt: Attempt) -> None:
        """Give the cap back what an attempt did not use."""
        if attempt.counted_day is not None:
            self._cap.put_back(attempt.counted_day)
            attempt.counted_day = None

    def _expired(self, attempt: Attempt) -> bool:
        return attempt.command.not_after <= self._ctx.clock.utcnow()

    def _counted(self, attempt: Attempt) -> bool:
        if attempt.counted_day == self._day:
            return True
        if not self._cap.take(self._day):
            self._dry()
            return False
        attempt.counted_day = self._day
        return True

    def _move_due(self) -> None:
        now = self._ctx.clock.boottime()
        while self._later and self._later[0][0] <= now:
            attempt = heapq.heappop(self._later)[2]
            attempt.stage = Stage.READY
            (self.now if attempt.queue == "now" else self.bulk).appendleft(attempt)

    async def _nap(self) -> None:
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(self._nap_seconds(), _set, woken) if len(self) else None
        self._idle.append(woken)
        try:
            await woken
        finally:
            if timer is not None:
                timer.cancel()
            if woken in self._idle:
                self._idle.remove(woken)

    def _nap_seconds(self) -> float:
        waits = [_LONGEST_NAP_SECONDS]
        if self._later:
            waits.append(max(0.0, self._later[0][0] - self._ctx.clock.boottime()))
        if self.bulk and not self.bulk_waits_for and not self._is_busy(self.bulk[0]):
            waits.append(self._pacer.wait())
        return max(min(waits), 0.001)

    def _wake_one(self) -> None:
        while self._idle:
            woken = self._idle.popleft()
            if not woken.done():
                woken.set_result(None)
                return


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
