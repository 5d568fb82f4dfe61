"""The one way services declare fixed subscriptions: durable, pulled, judged message by message, watched over."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, cast

import nats.errors
from faststream import AckPolicy
from faststream.nats import JStream, PullSub
from nats.aio.msg import Msg
from nats.js import JetStreamContext, api
from nats.js import errors as js_errors

from servicekit.bus import Bus
from servicekit.delivery.consumers import consumer_config, ensure_consumer
from servicekit.delivery.received import Decode, Received, by_contract
from servicekit.delivery.runner import Handler, Runner
from servicekit.delivery.settle import DEFAULT, Policy
from servicekit.errors import KurirError
from servicekit.logs import get_logger

LINGER_SECONDS = 0.25
WATCHDOG_SECONDS = 5.0
_log = get_logger("servicekit.delivery")


class Subscription:
    """A declared subscription; starts when the bus is connected and its stream exists."""

    def __init__(self, bus: Bus, stream: str, config: api.ConsumerConfig, runner: Runner, batch: int) -> None:
        """Use `subscribe` or `subscribe_batch`."""
        self.stream, self.durable, self.runner = stream, str(config.durable_name), runner
        self.problem: str | None = "not started"
        self._bus, self._config, self._batch = bus, config, batch
        self._subscriber: Any = None
        self._missing = asyncio.Event()
        self._watchdog: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Make or update the consumer and begin to pull. Raises while the stream does not exist."""
        await self._ensure()
        if self._subscriber is None:
            self._subscriber = self._declared()
        await self._subscriber.start()
        self._subscriber.subscription = _Gate(
            self._subscriber.subscription, self._bus, self._missing, self.runner.stopping
        )
        self._watchdog = asyncio.create_task(self._watch(), name=f"watchdog {self.durable}")

    def announce_stop(self) -> None:
        """Pull no more; what runs goes on."""
        self.runner.stopping.set()

    async def stop(self) -> None:
        """Stop pulling; a running handler gets its time, what waits for the store is given back."""
        self.announce_stop()
        if self._watchdog is not None:
            self._watchdog.cancel()
        if self._subscriber is not None:
            await self._subscriber.stop()

    def _declared(self) -> Any:
        """Declare to FastStream only now: a broker's start would make the consumer its own way."""
        subscriber: Any = self._bus.broker.subscriber(
            self._config.filter_subject or "",
            config=api.ConsumerConfig(filter_subjects=list(self._config.filter_subjects or ())),
            durable=self.durable,
            stream=JStream(name=self.stream, declare=False),
            pull_sub=PullSub(batch_size=self._batch, timeout=LINGER_SECONDS, batch=True),
            decoder=_raw_messages,
            ack_policy=AckPolicy.NACK_ON_ERROR,
            no_reply=True,
            title=self.durable,
        )
        subscriber(self.runner.run)
        return subscriber

    async def _ensure(self) -> bool:
        try:
            changed = await ensure_consumer(self._bus.js, self.stream, self._config)
        except (nats.errors.Error, js_errors.Error, KurirError, TimeoutError) as error:
            self.problem = f"{self.stream}/{self.durable}: {error}"[:300]
            raise KurirError(self.problem, reason="subscription") from error
        self.problem = None
        return changed

    async def _watch(self) -> None:
        """Bring back a consumer somebody deleted: FastStream would spin on it without a word."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._missing.wait(), WATCHDOG_SECONDS)
            self._missing.clear()
            if self._bus.connected:
                try:
                    if await self._ensure():
                        _log.warning("consumer was missing or changed, made again", consumer=self.durable)
                except KurirError as error:
                    _log.error("subscription is broken", consumer=self.durable, error=str(error))


class _Gate:
    """Around nats-py's pull subscription: quiet while NATS is away, no spinning on a consumer that is gone.

    Pulls made while away would be buffered, and all be answered at once on the return.
    """

    def __init__(
        self, inner: JetStreamContext.PullSubscription, bus: Bus, missing: asyncio.Event, stopping: asyncio.Event
    ) -> None:
        self._inner, self._bus, self._missing, self._stopping = inner, bus, missing, stopping

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def fetch(self, batch: int, timeout: float) -> list[Msg]:
        await self._bus.link.wait()
        if self._stopping.is_set():
            await asyncio.sleep(timeout)
            return []
        try:
            return await self._inner.fetch(batch, timeout=timeout)
        except TimeoutError:
            return []
        except (nats.errors.Error, js_errors.Error):
            self._missing.set()
            await asyncio.sleep(1)
            return []


async def _raw_messages(message: Any) -> list[Msg]:
    """Leave decoding to the runner: FastStream would fail a whole batch for one malformed message."""
    return cast("list[Msg]", message.raw_message)


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
) -> Subscription:
    """Hand the handler up to *batch* messages at once, none older than a quarter second.

    The handler may `fail` or `retry` single messages; raising fails the batch, which is then handled one by one. It must
    be safe to run twice. Unavailable is waited out. *decode* is by the table of contracts unless given.
    """
    runner = Runner(bus, durable, handler, decode=decode, policy=policy)
    config = _config(durable, subjects, batch, policy, deliver)
    return _declare(bus, stream, config, runner, batch)


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
    return _declare(bus, stream, config, runner, concurrency * 2)


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


def _declare(bus: Bus, stream: str, config: api.ConsumerConfig, runner: Runner, batch: int) -> Subscription:
    made = Subscription(bus, stream, config, runner, batch)
    bus.subscriptions.append(made)
    bus.on_start(made.start, made.stop)
    return made
