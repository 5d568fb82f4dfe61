"""The one way services declare fixed subscriptions: durable, pulled, judged message by message, watched over."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

import nats.errors
from nats.js import api
from nats.js import errors as js_errors

from servicekit.bus import Bus
from servicekit.delivery.consumers import consumer_config, ensure_consumer
from servicekit.delivery.puller import Puller
from servicekit.delivery.received import Decode, Received, by_contract
from servicekit.delivery.runner import Handler, Runner
from servicekit.delivery.settle import DEFAULT, Policy
from servicekit.errors import KurirError
from servicekit.logs import get_logger

LINGER_SECONDS = 0.25
WATCHDOG_SECONDS = 5.0
STOP_SECONDS = 5.0
_log = get_logger("servicekit.delivery")


class Subscription:
    """A declared subscription; starts when the bus is connected and its stream exists."""

    def __init__(self, bus: Bus, stream: str, config: api.ConsumerConfig, runner: Runner, puller: Puller) -> None:
        """Use `subscribe` or `subscribe_batch`."""
        self.stream, self.durable, self.runner = stream, str(config.durable_name), runner
        self.problem: str | None = "not started"
        self._bus, self._config, self._puller = bus, config, puller
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Make or update the consumer and begin to pull. Raises while the stream does not exist."""
        await self._ensure()
        await self._puller.start()
        self._tasks = [
            asyncio.create_task(self._pull(), name=f"pull {self.durable}"),
            asyncio.create_task(self._watch(), name=f"watchdog {self.durable}"),
        ]

    def announce_stop(self) -> None:
        """Pull no more; what runs goes on."""
        self.runner.stopping.set()

    async def stop(self) -> None:
        """Stop pulling; a running handler gets its time, what waits for the store is given back."""
        self.announce_stop()
        for task in self._tasks:
            task.cancel()
        try:
            await self._puller.stop()
        finally:
            await self.runner.finish(STOP_SECONDS)

    async def _pull(self) -> None:
        while not self.runner.stopping.is_set():
            if messages := await self._puller.next(self.runner.stopping):
                await self.runner.take(messages)

    async def _ensure(self) -> bool:
        try:
            changed = await ensure_consumer(self._bus.js, self.stream, self._config)
        except (nats.errors.Error, js_errors.Error, KurirError, TimeoutError) as error:
            self.problem = f"{self.stream}/{self.durable}: {error}"[:300]
            raise KurirError(self.problem, reason="subscription") from error
        self.problem = None
        return changed

    async def _watch(self) -> None:
        """Bring back a consumer somebody deleted."""
        missing = self._puller.missing
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(missing.wait(), WATCHDOG_SECONDS)
            missing.clear()
            if self._bus.connected:
                try:
                    if await self._ensure():
                        _log.warning("consumer was missing or changed, made again", consumer=self.durable)
                except KurirError as error:
                    _log.error("subscription is broken", consumer=self.durable, error=str(error))


def subscribe_batch(
    bus: Bus,
    *,
    stream: str,
    durable: str,
    subjects: Sequence[str],
    handler: Handler,
    batch: int = 500,
    decode: Decode = by_contract,
    policy: Policy = DEFAULT,
    deliver: Literal["all", "new"] = "all",
    overlap: int = 1,
    urgent: str = "",
) -> Subscription:
    """Hand the handler up to *batch* messages at once, none older than a quarter second.

    The handler may `fail` or `retry` single messages; raising fails the batch, which is then handled one by one. It must
    be safe to run twice. Unavailable is waited out. *decode* is by the table of contracts unless given. *overlap*: so
    many batches are handled side by side, where their order does not matter. A message whose subject holds *urgent*
    waits for no others.
    """
    runner = Runner(bus, durable, handler, decode=decode, policy=policy, overlap=overlap)
    config = _config(durable, subjects, batch * (overlap + 1), policy, deliver)
    puller = Puller(bus, stream, durable, batch, linger_seconds=LINGER_SECONDS, urgent=urgent)
    return _declare(bus, stream, config, runner, puller)


def subscribe(
    bus: Bus,
    *,
    stream: str,
    durable: str,
    subjects: Sequence[str],
    handler: Callable[[Received], Awaitable[None]],
    concurrency: int = 10,
    decode: Decode = by_contract,
    policy: Policy = DEFAULT,
    deliver: Literal["all", "new"] = "all",
) -> Subscription:
    """Hand the handler one message at a time, *concurrency* of them side by side, each inside its trace."""

    async def one(items: list[Received]) -> None:
        await handler(items[0])

    runner = Runner(bus, durable, one, decode=decode, policy=policy, each=concurrency)
    config = _config(durable, subjects, concurrency * 2, policy, deliver)
    return _declare(bus, stream, config, runner, Puller(bus, stream, durable, concurrency * 2))


def _config(
    durable: str, subjects: Sequence[str], batch: int, policy: Policy, deliver: Literal["all", "new"]
) -> api.ConsumerConfig:
    return consumer_config(
        durable,
        list(subjects),
        ack_wait_seconds=policy.ack_wait_seconds,
        max_ack_pending=max(1_000, batch * 4),
        deliver_policy=api.DeliverPolicy(deliver),
    )


def _declare(bus: Bus, stream: str, config: api.ConsumerConfig, runner: Runner, puller: Puller) -> Subscription:
    made = Subscription(bus, stream, config, runner, puller)
    bus.subscriptions.append(made)
    bus.on_start(made.start, made.stop)
    return made
