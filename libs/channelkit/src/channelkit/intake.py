"""Pulling one queue of an account: requests by hand, so that nothing is delivered to nobody and none hangs."""

import asyncio
import contextlib
from collections.abc import Callable

import nats.errors
import orjson
from contracts import subjects
from contracts.channels import Channel
from contracts.subjects import Queue
from nats.aio.subscription import Subscription
from servicekit.bus import Bus
from servicekit.delivery.consumers import consumer_config, ensure_consumer
from servicekit.direct import Delivery, position
from servicekit.logs import get_logger

from channelkit.lane_context import LaneContext

_log = get_logger("channelkit.lane")
_EXPIRES_SECONDS = 30.0
_PAUSE_AFTER_TROUBLE_SECONDS = 0.5


async def ensure_queue(bus: Bus, channel: Channel, account_id: str, queue: Queue, ctx: LaneContext) -> None:
    """Create the queue's durable consumer, or update what differs. Raises nats' errors."""
    config = consumer_config(
        subjects.consumer(account_id, queue),
        [subjects.send(channel, account_id, queue)],
        ack_wait_seconds=ctx.ack_wait_seconds,
        max_ack_pending=ctx.settings.max_ack_pending,
    )
    await ensure_consumer(bus.js, subjects.commands_stream(channel), config)


class Intake:
    """Pulls while it is open and has room. Closing it stops the server at once and hands over what was on its way."""

    def __init__(
        self, ctx: LaneContext, queue: Queue, room: Callable[[], int], take: Callable[[Delivery, Queue, int], None]
    ) -> None:
        """*room*: how many may come now; *take* gets each message, with its sequence in the stream."""
        self._ctx, self.queue, self._room, self._take = ctx, queue, room, take
        self._subject = (
            f"$JS.API.CONSUMER.MSG.NEXT.{subjects.commands_stream(ctx.channel)}"
            f".{subjects.consumer(ctx.account_id, queue)}"
        )
        self._sub: Subscription | None = None
        self._inbox = ""
        self._asked = 0
        self._got = 0
        self._ended = asyncio.Event()
        self._open = asyncio.Event()
        self._nudge = asyncio.Event()
        self._ensured = False
        self.waiting = 0
        """Commands on the server, as of the last delivery."""

    async def run(self) -> None:
        """Pull until cancelled."""
        while True:
            await self._open.wait()
            try:
                await self._turn()
            except Exception as error:
                _log.warning("pulling begins anew", account=self._ctx.account_id, error=repr(error)[:200])
                self._ensured = False
                await asyncio.sleep(_PAUSE_AFTER_TROUBLE_SECONDS)

    def open(self) -> None:
        """Let it pull."""
        self._open.set()

    async def close(self) -> None:
        """Stop pulling at once; on return everything the server had sent has been taken."""
        self._open.clear()
        self._ended.set()
        sub, self._sub = self._sub, None
        if sub is not None:
            with contextlib.suppress(nats.errors.Error, TimeoutError, OSError):
                await asyncio.wait_for(self._ctx.bus.direct.end(sub), 5)

    def nudge(self) -> None:
        """There may be room again."""
        self._nudge.set()

    def again(self) -> None:
        """The connection came back: the server has forgotten what we asked for."""
        self._ended.set()

    async def _turn(self) -> None:
        if not self._ensured:
            await ensure_queue(self._ctx.bus, self._ctx.channel, self._ctx.account_id, self.queue, self._ctx)
            self._ensured = True
        self._nudge.clear()
        room = self._room()
        if room <= 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._nudge.wait()
            return
        await self._pull(room)

    async def _pull(self, count: int) -> None:
        nc = self._ctx.bus.nc
        self._asked, self._got = count, 0
        self._ended.clear()
        if self._sub is None:
            self._inbox = nc.new_inbox()
            self._sub = await self._ctx.bus.direct.subscribe(self._inbox, self._on_delivery)
        if not self._open.is_set():
            await self.close()
            return
        request = orjson.dumps({"batch": count, "expires": int(_EXPIRES_SECONDS * 1e9)})
        await nc.publish(self._subject, request, reply=self._inbox)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_EXPIRES_SECONDS + 2):
                await self._ended.wait()

    def _on_delivery(self, delivery: Delivery) -> None:
        if delivery.reply:
            self._got += 1
            sequence, self.waiting = position(delivery.reply)
            self._take(delivery, self.queue, sequence)
            if self._got >= self._asked:
                self._ended.set()
            return
        status = delivery.status.decode()
        if status in ("404", "408"):
            self.waiting = 0
        elif status != "100":
            _log.warning("pull ended", account=self._ctx.account_id, queue=self.queue, status=status or "none")
            self._ensured = False
            asyncio.get_running_loop().call_later(_PAUSE_AFTER_TROUBLE_SECONDS, self._ended.set)
            return
        self._ended.set()
