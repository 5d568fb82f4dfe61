"""One account's lane: pulls its commands while it may, sends them, settles them. See architecture 3.5 to 3.7."""

import asyncio
import contextlib
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import nats.errors
from contracts import subjects
from contracts.state import Pace
from nats.js import errors as js_errors
from servicekit import tasks
from servicekit.bus import Bus
from servicekit.errors import Conflict, Unavailable
from servicekit.ledger import Ledger
from servicekit.logs import get_logger

from channelkit.attempts import Attempt, Stage, retained
from channelkit.claims import Claims
from channelkit.custody import Custody
from channelkit.drain import drain
from channelkit.gate import Gate
from channelkit.intake import Intake
from channelkit.lane_context import LaneContext, LaneSettings, LaneStatus
from channelkit.lane_memory import DailyCap, LaneMemory
from channelkit.line import Line
from channelkit.pacing import Pacer
from channelkit.sending import Senders
from channelkit.settle import Settler
from channelkit.trouble import Trouble

__all__ = ["Lane", "LaneContext", "LaneSettings", "LaneStatus", "drain"]

_log = get_logger("channelkit.lane")
_TROUBLE = (Unavailable, Conflict, nats.errors.Error, js_errors.Error, TimeoutError, OSError)
_LOOK_SECONDS = 1.0
_NOW_WINDOW = 64
_COUNT_SECONDS = 10.0
_REMEMBER_SECONDS = 2.0
_SETTLE_SECONDS = 2.0
_IN_FLIGHT_SHOWN = 200


class Lane:
    """Sends an account's commands while worker, lease, session, pace and caps allow."""

    def __init__(self, ctx: LaneContext) -> None:
        """Nothing happens before `start`."""
        self._ctx = ctx
        self._kept = retained(ctx.bus, ctx.channel, ctx.account_id)
        self._gate = Gate(ctx)
        self._memory = LaneMemory(ctx.bus, ctx.channel, ctx.account_id, ctx.lease_epoch)
        self._cap = DailyCap(self._memory)
        self._pacer = Pacer(ctx.clock.boottime)
        self._kicked = asyncio.Event()
        self._line = Line(ctx, self._gate, self._pacer, self._cap, self._kicked.set)
        ledger = Ledger(ctx.bus, ctx.channel)
        self._settler = Settler(ctx, ledger, self._kept, self._released, self._gone)
        self._custody = Custody(ctx, self._kept, self._line)
        claims = Claims(ctx, ledger, self._kept, self._gate)
        self._trouble = Trouble(ctx, self._gate, self._memory, self.kick)
        self._senders = Senders(
            ctx, self._gate, self._line, claims, self._settler, self._pacer, self._kept,
            refused=self._trouble.refused, give_back=self._custody.give_back, worked=self._worked,
        )  # fmt: skip
        self._now = Intake(ctx, "now", self._room_now, self._custody.take)
        self._bulk = Intake(ctx, "bulk", self._room_bulk, self._custody.take)
        self._tasks: list[asyncio.Task[None]] = []
        self._small: set[asyncio.Task[None]] = set()
        self._sent_at = self._remembered_at = self._counted_at = 0.0
        self._prepared = False

    async def start(self) -> None:
        """Begin in the background, as soon as NATS answers."""
        if self._tasks:
            return
        self._gate.stopping, self._gate.needs_login, self._prepared = False, "", False
        _reconnecting(self._ctx.bus, self)
        work: tuple[Coroutine[Any, Any, None], ...] = (self._control(), self._now.run(), self._bulk.run())
        self._tasks = [asyncio.get_running_loop().create_task(one) for one in work]

    async def stop(self, grace_seconds: float = 0.0) -> None:
        """Stop pulling at once, give back what was not claimed, wait at most *grace_seconds* for what is out."""
        self._gate.stopping = True
        self.kick()
        await tasks.end(self._tasks[:1])
        await self._shut()
        await self._senders.stop(grace_seconds)
        await self._settled(max(grace_seconds, _SETTLE_SECONDS))
        with contextlib.suppress(*_TROUBLE):
            await self._cap.close()
        await self._settler.stop()
        await tasks.end([*self._tasks, *self._small])
        self._tasks = []
        await self._custody.leave()

    def kick(self) -> None:
        """Something changed: look again at once."""
        self._kicked.set()
        self._line.wake_all()

    @property
    def status(self) -> LaneStatus:
        """Return what the lane is doing."""
        out = [attempt.command.attempt for attempt in self._senders.out.values()]
        reason = self._gate.reason()
        on = self._ctx.worker_on()
        return LaneStatus(
            next_send_at=self._next_send_at(reason),
            queue_length=self._now.waiting + self._bulk.waiting + len(self._line) + len(out),
            in_flight=out[:_IN_FLIGHT_SHOWN],
            restricted_until=self._gate.restricted_until,
            restricted_reason=self._gate.restricted_reason,
            worker="on" if on else "stopping" if out else "off",
            waits_for=reason or self._line.bulk_waits_for,
        )

    def _next_send_at(self, reason: str) -> Any:
        if reason:
            return self._gate.opens_at()
        if self._line.bulk_waits_for:
            return self._line.bulk_opens_at
        if not self._bulk.waiting and not self._line.bulk:
            return None
        return self._ctx.clock.utcnow() + timedelta(seconds=self._pacer.wait())

    async def _control(self) -> None:
        await self._prepare()
        while True:
            self._kicked.clear()
            try:
                await self._look()
            except Exception as error:  # whatever it is, a lane that looks no more obeys nobody
                if self._ctx.bus.connected:
                    _log.warning("a lane looks again", account=self._ctx.account_id, error=repr(error)[:200])
                await asyncio.sleep(_LOOK_SECONDS / 2)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._kicked.wait()

    async def _prepare(self) -> None:
        while not self._prepared:
            try:
                await self._memory.load()
                await self._begin()
                self._prepared = True
            except Exception as error:
                if self._ctx.bus.connected:  # that it is away the bus says once, and not each lane
                    _log.warning("a lane cannot start yet", account=self._ctx.account_id, error=repr(error)[:200])
                await asyncio.sleep(_LOOK_SECONDS)
        self._settler.start()
        for attempt in list(self._kept.attempts.values()):
            if attempt.end is None:
                self._line.add(attempt)

    async def _begin(self) -> None:
        state, pace = self._memory.state, self._ctx.desired().pace
        self._gate.restricted_until, self._gate.restricted_reason = state.restricted_until, state.restricted_reason
        self._pacer.apply(pace)
        self._pacer.begin(full_pause=state.epoch > 0)
        if self._pacer.is_paused and self._ctx.lease_epoch() is not None:
            await self._memory.write()  # whoever comes next sees that somebody was here, and begins with a full pause

    async def _look(self) -> None:
        """Open and shut what must be, and do what is due."""
        pace = self._ctx.desired().pace
        self._pacer.apply(pace)
        if reason := self._gate.reason():
            await self._shut()
            await self._count(reason)
        else:
            await self._refill()
            self._line.look(pace)
            self._senders.resize(self._connections(pace))
            self._now.open()
            await self._open_bulk()
        await self._custody.keep_alive()
        await self._remember()
        await self._trouble.recovered()

    def _connections(self, pace: Pace) -> int:
        capable = self._ctx.capabilities
        if not capable.bubbles:
            return pace.connections
        return 1 if self._pacer.is_paused else min(pace.connections, capable.at_once)

    async def _refill(self) -> None:
        try:
            await self._cap.refill(self._ctx.desired().pace, self._ctx.clock.utcnow())
        except _TROUBLE as error:
            _log.warning("the cap could not be reserved", account=self._ctx.account_id, error=repr(error)[:200])
            await asyncio.sleep(_LOOK_SECONDS / 2)

    async def _open_bulk(self) -> None:
        if not self._line.bulk_waits_for:
            self._bulk.open()
            self._line.wake_all()
            return
        await self._bulk.close()
        await self._custody.give_back_bulk()

    async def _shut(self) -> None:
        await asyncio.gather(self._now.close(), self._bulk.close())
        await self._custody.give_back_all()

    def _room_now(self) -> int:
        return _NOW_WINDOW - len(self._line.now)

    def _room_bulk(self) -> int:
        """Pause before the pull; then what is due soon, within the window of what is not acknowledged yet."""
        if self._line.bulk_waits_for or (self._pacer.is_paused and self._pacer.wait() > _LOOK_SECONDS):
            return 0
        window = self._ctx.settings.window
        most = self._pacer.batch(window // 2)
        room = min(most - len(self._line.bulk), window - len(self._kept.attempts))
        return room if room >= most / 2 or (room > 0 and not self._line.bulk) else 0

    def _gone(self, attempt: Attempt) -> None:
        if attempt.queue == "now":
            self._now.nudge()
        elif len(self._kept.attempts) <= self._ctx.settings.window * 3 // 4:  # else there is no room worth a pull
            self._bulk.nudge()

    def _worked(self) -> None:
        self._sent_at = self._ctx.clock.boottime()
        self._trouble.worked()
        if self._pacer.is_paused or not self._line.bulk:
            self._bulk.nudge()

    def _released(self, attempt: Attempt) -> None:
        attempt.end, attempt.written, attempt.claimed = None, False, False
        if self._gate.reason():
            attempt.stage = Stage.OUT
            task = asyncio.get_running_loop().create_task(self._custody.give_back(attempt))
            self._small.add(task)
            task.add_done_callback(self._small.discard)
        else:
            self._line.add_later(attempt, attempt.due)

    async def _remember(self) -> None:
        """Write the last send: before a pause at once, else now and then."""
        now = self._ctx.clock.boottime()
        every = 0.0 if self._pacer.is_paused else _REMEMBER_SECONDS
        if self._sent_at > self._remembered_at and now - self._remembered_at >= every:
            ago = timedelta(seconds=now - self._sent_at)
            self._remembered_at = now
            await self._memory.write(last_send_at=self._ctx.clock.utcnow() - ago)

    async def _count(self, reason: str) -> None:
        """While nothing is pulled, ask now and then how much waits."""
        now = self._ctx.clock.boottime()
        if reason == "nats_away" or now - self._counted_at < _COUNT_SECONDS:
            return
        self._counted_at = now
        stream = subjects.commands_stream(self._ctx.channel)
        pattern = f"cmd.{self._ctx.channel}.{self._ctx.account_id}.send.*.v1"
        counts = (await self._ctx.bus.js.stream_info(stream, subjects_filter=pattern)).state.subjects or {}
        for intake in (self._now, self._bulk):
            intake.waiting = counts.get(subjects.send(self._ctx.channel, self._ctx.account_id, intake.queue), 0)

    async def _settled(self, seconds: float) -> None:
        """Wait until everything that has its end is written down and acknowledged."""
        until = asyncio.get_running_loop().time() + seconds
        while any(attempt.end is not None for attempt in self._kept.attempts.values()):
            if asyncio.get_running_loop().time() > until or not self._ctx.bus.connected:
                return
            await asyncio.sleep(0.02)

    def _reconnected(self) -> None:
        self._now.again()
        self._bulk.again()
        self.kick()


_lanes: WeakKeyDictionary[Bus, WeakSet[Lane]] = WeakKeyDictionary()


def _reconnecting(bus: Bus, lane: Lane) -> None:
    """Let the lane hear of reconnects: one callback per bus, since it keeps its callbacks for ever."""
    if bus not in _lanes:
        lanes: WeakSet[Lane] = WeakSet()
        _lanes[bus] = lanes

        async def tell() -> None:
            for one in list(lanes):
                one._reconnected()  # noqa: SLF001  # its own module

        bus.on_reconnect(tell)
    _lanes[bus].add(lane)
