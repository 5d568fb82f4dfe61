"""What a lane holds of the server's: taking commands in, keeping them alive while they wait, giving them back."""

import asyncio
import contextlib

import nats.errors
from contracts.commands import SendMessage
from contracts.headers import CE_TYPE
from contracts.subjects import Queue
from nats.js import errors as js_errors
from pydantic import ValidationError
from servicekit.delivery.settle import settle_failure
from servicekit.direct import Delivery
from servicekit.errors import Permanent, Unavailable

from channelkit.attempts import Attempt, Retained
from channelkit.lane_context import LaneContext
from channelkit.line import Line

_TROUBLE = (Unavailable, nats.errors.Error, js_errors.Error, TimeoutError, OSError)
_SIGNS_PER_WAIT = 3
_TYPE = CE_TYPE.encode()
_READABLE = (None, SendMessage.ce_type().encode())


class Custody:
    """Deliveries of one account's commands."""

    def __init__(self, ctx: LaneContext, kept: Retained, line: Line) -> None:
        """*line* gets what is taken in."""
        self._ctx, self._kept, self._line = ctx, kept, line
        self._burying: set[asyncio.Task[None]] = set()

    def take(self, delivery: Delivery, queue: Queue, sequence: int) -> None:
        """Line a delivery up; a known attempt is not lined up twice, an unreadable one becomes a dead letter."""
        try:
            command = self._command(delivery)
        except Permanent as error:
            task = asyncio.get_running_loop().create_task(self._bury(delivery, error))
            self._burying.add(task)
            task.add_done_callback(self._burying.discard)
            return
        key = command.ledger_key
        known = self._kept.attempts.get(key)
        if known is not None:
            known.replies[sequence] = delivery.reply
            return
        attempt = Attempt(command, queue, delivery, {sequence: delivery.reply}, key, command.tries)
        attempt.touched = self._ctx.clock.boottime()
        self._kept.attempts[key] = attempt
        self._line.add(attempt)

    async def give_back(self, attempt: Attempt) -> None:
        """Return a command to the server, plainly: it is pulled again when the lane opens."""
        self._line.uncount(attempt)
        if not self._ctx.bus.connected:
            self._line.add(attempt, first=True)  # nats-py would send it later, unasked
            return
        for reply in attempt.replies.values():
            with contextlib.suppress(nats.errors.Error, OSError):
                await self._ctx.bus.nc.publish(reply.decode(), b"-NAK")
        self._kept.attempts.pop(attempt.key, None)

    async def give_back_all(self) -> None:
        """Return everything that stands in line; what is claimed stays."""
        for attempt in self._line.clear():
            if attempt.claimed:
                self._line.add(attempt)
            else:
                await self.give_back(attempt)

    async def give_back_bulk(self) -> None:
        """Return the bulk messages that stand in line; what is claimed stays."""
        for attempt in self._line.clear_bulk():
            if attempt.claimed:
                self._line.add_later(attempt, self._ctx.clock.boottime())
            else:
                await self.give_back(attempt)

    async def leave(self) -> None:
        """The lane has stopped: keep only what a later lane of this process must know."""
        for attempt in list(self._kept.attempts.values()):
            if attempt.end is None and not attempt.claimed:
                await self.give_back(attempt)
                self._kept.attempts.pop(attempt.key, None)
        self._line.clear()
        await asyncio.gather(*self._burying)

    async def keep_alive(self) -> None:
        """Tell the server that what was pulled is still being worked on."""
        if not self._ctx.bus.connected:
            return
        now = self._ctx.clock.boottime()
        for attempt in list(self._kept.attempts.values()):
            if now - attempt.touched > self._ctx.ack_wait_seconds / _SIGNS_PER_WAIT:
                attempt.touched = now
                for reply in list(attempt.replies.values()):
                    await self._ctx.bus.nc.publish(reply.decode(), b"+WPI")

    async def _bury(self, delivery: Delivery, error: Permanent) -> None:
        with contextlib.suppress(*_TROUBLE):  # it comes again
            msg = await delivery.message(self._ctx.bus.nc)
            await settle_failure(self._ctx.bus, msg, error, msg.metadata.num_delivered)

    def _command(self, delivery: Delivery) -> SendMessage:
        if (named := delivery.header(_TYPE)) not in _READABLE:
            raise Permanent("unknown_version", repr(named))
        try:
            command = SendMessage.model_validate_json(delivery.data)
        except ValidationError as error:
            where = ", ".join(".".join(map(str, e["loc"])) or "message" for e in error.errors()[:5])
            raise Permanent("malformed", f"does not fit its model: {where}") from error
        if command.account_id != self._ctx.account_id:
            raise Permanent("wrong_account", f"names {command.account_id}")
        return command
