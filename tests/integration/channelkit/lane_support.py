"""A lane on a real NATS with the smallest possible channel: what it sends lands in a list that outlives every crash."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from channelkit.lane import Lane, LaneContext, LaneSettings
from channelkit.protocol import Capabilities, Outgoing
from channelkit.suppressions import Suppressions
from contracts import subjects
from contracts.channels import Channel
from contracts.commands import Content, Recipient, SendMessage
from contracts.inbox import Cancelled, Failed, Outcome, Sent, Unknown
from contracts.state import DesiredAccount, LedgerEntry, Pace, SuppressionEntry
from contracts.subjects import Queue
from contracts.topology import topology
from servicekit.bus import Bus
from servicekit.errors import Permanent
from servicekit.kv import Bucket
from servicekit.ledger import Ledger
from servicekit.secrets import AddressHasher
from servicekit.settings import ServiceSettings
from servicekit.topology import apply

CHANNEL = Channel.TELEGRAM
ACCOUNT = "acc_1"
HASHER = AddressHasher("practice-address-key")
_OUTCOMES: dict[str, type[Outcome]] = {"sent": Sent, "failed": Failed, "unknown": Unknown, "cancelled": Cancelled}

Act = Callable[[Outgoing], Any]


@dataclass
class Platform:
    """What the world received, and what it does to a recipient's messages: a list of acts, one per send."""

    received: list[tuple[str, str]] = field(default_factory=list)
    acts: dict[str, list[Act]] = field(default_factory=lambda: defaultdict(list))
    sends: int = 0
    asked: int = 0
    knows: bool | None = None
    deduplicates: bool = False

    def texts(self) -> list[str]:
        return [text for _, text in self.received]


class TinySender:
    """Claims, runs the recipient's next act, and delivers every bubble that is not done yet."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def send(self, out: Outgoing, _: Callable[[], Outgoing | None]) -> Sequence[str]:
        platform, acts = self._platform, self._platform.acts[out.command.to.address]
        platform.sends += 1
        act = acts.pop(0) if acts else None
        if act is not None and not getattr(act, "after_claim", False):
            await _run(act, out)
        await out.claim()
        if act is not None and getattr(act, "after_claim", False):
            await _run(act, out)
        bubbles = [out.command.content.text, *out.command.content.bubbles]
        for part in range(len(out.parts_done), len(bubbles)):
            key = out.platform_key(part)
            if not platform.deduplicates or key not in [k for k, _ in platform.received]:
                platform.received.append((key, bubbles[part]))
            if len(bubbles) > 1:
                await out.part_sent(f"id-{part}")
        return out.parts_done if len(bubbles) > 1 else [f"id-{out.command.row}"]

    async def abandon(self) -> None:
        pass

    async def close(self) -> None:
        pass


async def _run(act: Act, out: Outgoing) -> None:
    result = act(out)
    if asyncio.iscoroutine(result):
        await result


def raising(error: Exception, *, after_claim: bool = True) -> Act:
    def act(_: Outgoing) -> None:
        raise error

    act.after_claim = after_claim
    return act


def doing(work: Callable[[Outgoing], Any], *, after_claim: bool = True) -> Act:
    def act(out: Outgoing) -> Any:
        return work(out)

    act.after_claim = after_claim
    return act


class TinySession:
    def __init__(self, platform: Platform) -> None:
        self.platform = platform

    def sender(self) -> TinySender:
        return TinySender(self.platform)

    async def was_sent(self, _key: str, _command: SendMessage) -> bool | None:
        self.platform.asked += 1
        return self.platform.knows


class TinyHost:
    def __init__(self) -> None:
        self.reports: list[tuple[str, str]] = []
        self.lines: list[str] = []
        self.media: dict[str, bytes] = {}

    async def report(self, status: str, reason: str = "", **_: Any) -> None:
        self.reports.append((str(status), reason))

    async def log(self, kind: str, text: str, row: str | None = None) -> None:
        self.lines.append(f"{kind} {row} {text}")

    async def get_media(self, key: str) -> bytes:
        if key not in self.media:
            raise Permanent("attachment_missing", key)
        return self.media[key]


class HookedPipe:
    """The bus's pipe with one interruption: what was written before it has arrived, what comes after has not."""

    def __init__(self, pipe: Any, prefix: str, hook: Callable[[str], Any]) -> None:
        self._pipe, self._prefix, self._hook = pipe, prefix, hook
        self._held: list[Any] | None = None

    def post(  # as the pipe's
        self, subject: bytes, payload: bytes, heard: Callable[..., None], head: bytes = b"", *, soon: bool = False
    ) -> None:
        if self._held is not None:
            self._held.append((subject, payload, heard, head))
        elif self._prefix and subject.startswith(self._prefix.encode()):
            self._prefix, self._held = "", [(subject, payload, heard, head)]
            self._task = asyncio.ensure_future(self._interrupted())
        else:
            self._pipe.post(subject, payload, heard, head, soon=soon)

    async def stop(self) -> None:
        await self._pipe.stop()

    async def _interrupted(self) -> None:
        """Nothing that is written after the interruption goes out before it is over."""
        for moment in ("before", "after"):
            result = self._hook(moment)
            if asyncio.iscoroutine(result):
                await result
            if moment == "before":
                self._pipe.post(*self._held.pop(0))
        held, self._held = self._held, None
        for one in held:
            self.post(*one)


@dataclass
class Replica:
    """One process: a bus of its own and a lane on it. `die` is a SIGKILL: nothing more reaches the server."""

    world: "World"
    bus: Bus
    capabilities: Capabilities
    lane: Lane = None
    worker: bool = True
    fresh: bool = True
    epoch: int | None = 1
    host: TinyHost = field(default_factory=TinyHost)

    def context(self, **more: Any) -> LaneContext:
        context = LaneContext(
            bus=self.bus,
            channel=CHANNEL,
            account_id=ACCOUNT,
            desired=lambda: self.world.desired,
            worker_on=lambda: self.worker,
            lease_epoch=lambda: self.epoch,
            fresh=lambda: self.fresh,
            session=TinySession(self.world.platform),
            capabilities=self.capabilities,
            host=self.host,
            suppressions=Suppressions(self.bus, CHANNEL, HASHER),
            settings=LaneSettings(send_timeout_seconds=2.0, ack_wait_seconds=2.0),
        )
        return replace(context, **more)

    async def start(self, **more: Any) -> "Replica":
        self.lane = Lane(self.context(**more))
        await self.lane.start()
        return self

    def switch(self, *, worker: bool) -> None:
        self.worker = worker
        self.lane.kick()

    def on_write(self, prefix: str, hook: Callable[[str], Any]) -> None:
        """Run *hook* ("before" or "after") around the next write of the lane whose subject begins so."""
        self.bus._pipe = HookedPipe(self.bus.pipe, prefix, hook)

    async def sever(self) -> None:
        """From here on this process reaches nobody: what it had written before has arrived."""
        with contextlib.suppress(Exception):
            await self.bus.nc.flush(2)
        await self.bus.nc.close()

    async def die(self) -> None:
        await self.sever()
        await self.lane.stop(0)
        await self.bus.stop()


@dataclass
class World:
    settings: ServiceSettings
    bus: Bus
    platform: Platform = field(default_factory=Platform)
    desired: DesiredAccount = field(
        default_factory=lambda: DesiredAccount(account_id=ACCOUNT, channel=CHANNEL, version=1, status="active")
    )
    replicas: list[Replica] = field(default_factory=list)
    ledger: Ledger = None

    async def replica(self, *, start: bool = True, idempotent: bool = False, can_ask: bool = False, **more: Any):
        bus = Bus(self.settings)
        await bus.start()
        await bus.wait_connected()
        capabilities = Capabilities(idempotent_send=idempotent, can_ask=can_ask)
        self.platform.deduplicates = idempotent
        made = Replica(self, bus, capabilities)
        self.replicas.append(made)
        return await made.start(**more) if start else made

    def pace(self, **pace: Any) -> None:
        self.desired = self.desired.model_copy(update={"pace": Pace(**pace)})

    async def publish(self, command: SendMessage, queue: Queue = "bulk", headers: dict | None = None) -> None:
        await self.bus.publish(subjects.send(CHANNEL, ACCOUNT, queue), command, headers=headers)

    async def send(self, number: int, queue: Queue = "bulk", **more: Any) -> SendMessage:
        made = command(number, **more)
        await self.publish(made, queue)
        return made

    async def outcomes(self, count: int, seconds: float = 15) -> list[Outcome]:
        """Return all outcome events once there are so many."""
        until = asyncio.get_running_loop().time() + seconds
        while len(found := await self.events()) < count:
            if asyncio.get_running_loop().time() > until:
                raise AssertionError(f"{len(found)} of {count} outcomes: {found}")
            await asyncio.sleep(0.05)
        return found

    async def events(self) -> list[Outcome]:
        state = (await self.bus.js.stream_info("INBOX")).state
        found = []
        for sequence in range(max(1, state.first_seq), state.last_seq + 1):
            msg = await self.bus.js.get_msg("INBOX", seq=sequence)
            found.append(_OUTCOMES[msg.subject.split(".")[3]].model_validate_json(msg.data))
        return found

    async def entry(self, made: SendMessage) -> LedgerEntry | None:
        found = await self.ledger.read(made.ledger_key)
        return found.entry if found else None

    async def left(self, stream: str = "COMMANDS_TELEGRAM") -> int:
        return (await self.bus.js.stream_info(stream)).state.messages

    async def eventually(self, check: Callable[[], Any], seconds: float = 30, what: str = "") -> None:
        until = asyncio.get_running_loop().time() + seconds
        while True:
            result = check()
            if asyncio.iscoroutine(result):
                result = await result
            if result:
                return
            if asyncio.get_running_loop().time() > until:
                raise AssertionError(f"never came true: {what or check}")
            await asyncio.sleep(0.02)

    async def settled(self, seconds: float = 30) -> None:
        """Wait until no command is left."""

        async def none_left() -> bool:
            return await self.left() == 0

        await self.eventually(none_left, seconds, "no command left")

    async def suppress(self, address: str, reason: str = "unsubscribed") -> None:
        bucket = Bucket(self.bus, "suppressions", SuppressionEntry)
        entry = SuppressionEntry(reason=reason, at=datetime.now(UTC))
        await bucket.put(f"{CHANNEL}.{HASHER.digest(CHANNEL, address)}", entry)


def command(number: int, **more: Any) -> SendMessage:
    return SendMessage.model_validate(
        {
            "id": f"c{number}",
            "source": "campaigns",
            "account_id": ACCOUNT,
            "campaign_id": "camp",
            "row": f"row{number}",
            "batch": "camp.1",
            "number": number,
            "not_after": datetime.now(UTC) + timedelta(hours=1),
            "to": Recipient(address=f"to{number}"),
            "content": Content(text=f"hello {number}"),
            **more,
        }
    )


@contextlib.asynccontextmanager
async def world_on(settings: ServiceSettings) -> AsyncIterator[World]:
    bus = Bus(settings)
    await bus.start()
    await bus.wait_connected()
    await apply(bus.js, topology([CHANNEL]))
    made = World(settings, bus, ledger=Ledger(bus, CHANNEL))
    try:
        yield made
    finally:
        for replica in made.replicas:
            with contextlib.suppress(Exception):
                await replica.lane.stop(0.1)
            await replica.bus.stop()
        await bus.stop()
