"""What a lane must not forget, in `lanes_<channel>`: cap used, last send, restriction. Written with the lease's epoch."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

from contracts import subjects
from contracts.channels import Channel
from contracts.state import LaneState, Pace
from servicekit.bus import Bus
from servicekit.errors import Conflict
from servicekit.kv import Bucket

from channelkit.pacing import cap_of, day_of

_LARGEST_BLOCK = 200
_BLOCKS_PER_DAY = 10


class LaneMemory:
    """One account's `LaneState`, written by compare-and-set by the lease's holder alone."""

    def __init__(self, bus: Bus, channel: Channel, account_id: str, epoch: Callable[[], int | None]) -> None:
        """*epoch*: the lease's, or None where it is not ours."""
        self._bucket = Bucket(bus, subjects.bucket("lanes", channel), LaneState)
        self._key, self._epoch = account_id, epoch
        self._revision = 0
        self._lock = asyncio.Lock()
        self.state = LaneState()

    async def load(self) -> None:
        """Read what the last holder left. Raises Unavailable."""
        found = await self._bucket.get(self._key)
        self.state, self._revision = (found.value, found.revision) if found else (LaneState(), 0)

    async def write(self, **changes: Any) -> None:
        """Change some fields. Raises Conflict where the lease has moved on, Unavailable."""
        async with self._lock:
            try:
                await self._write(changes)
            except Conflict:
                await self._write(changes)  # it has been read anew

    async def reserve(self, pace: Pace, now: datetime) -> int | None:
        """Reserve a block of the day's cap before it is used: a crash wastes it, never exceeds. None: no cap; 0: used up.

        Raises Conflict, Unavailable.
        """
        async with self._lock:
            day = day_of(pace, now)
            since = self.state.warm_up_since or (day if pace.warm_up else "")
            cap = cap_of(pace, since, day)
            if cap is None:
                return None
            used = self.state.cap_used if self.state.day == day else 0
            granted = max(0, min(cap - used, _LARGEST_BLOCK, max(1, cap // _BLOCKS_PER_DAY)))
            if granted:
                await self._write({"day": day, "cap_used": used + granted, "warm_up_since": since})
            return granted

    async def give_back(self, day: str, units: int) -> None:
        """Return what was reserved for *day* and not used. Raises Conflict, Unavailable."""
        async with self._lock:
            if units and self.state.day == day:
                await self._write({"cap_used": max(0, self.state.cap_used - units)})

    async def _write(self, changes: dict[str, Any]) -> None:
        epoch = self._epoch()
        if epoch is None or self.state.epoch > epoch:
            raise Conflict("the lease is not ours")
        wanted = self.state.model_copy(update={**changes, "epoch": epoch})
        try:
            if self._revision:
                self._revision = await self._bucket.update(self._key, wanted, self._revision)
            else:
                self._revision = await self._bucket.create(self._key, wanted)
        except Conflict:
            await self.load()
            raise
        self.state = wanted


class DailyCap:
    """The units of the day's cap this lane holds."""

    def __init__(self, memory: LaneMemory) -> None:
        """Hold nothing yet: `refill` before `take`."""
        self._memory = memory
        self._units: int | None = 0
        self._day = ""
        self.used_up = False

    def ready(self, day: str) -> bool:
        """Return whether a message may be counted now."""
        return self._units is None or (self._day == day and self._units > 0)

    def take(self, day: str) -> bool:
        """Count one message; False where there is no unit at hand."""
        if not self.ready(day):
            return False
        if self._units is not None:
            self._units -= 1
        return True

    def put_back(self, day: str) -> None:
        """Uncount one that did not leave."""
        if self._units is not None and self._day == day:
            self._units += 1

    async def refill(self, pace: Pace, now: datetime) -> None:
        """Reserve the next block where there is need. Raises Conflict, Unavailable."""
        day = day_of(pace, now)
        capped = pace.daily_cap is not None or pace.warm_up is not None
        if not capped:
            self._units, self.used_up = None, False
            return
        if self._units is None or self._day != day:
            self._units, self._day = 0, day
        if self._units == 0:
            granted = await self._memory.reserve(pace, now)
            self._units, self.used_up = granted, granted == 0

    async def close(self) -> None:
        """Give back what is left. Raises Conflict, Unavailable."""
        if self._units:
            await self._memory.give_back(self._day, self._units)
            self._units = 0
