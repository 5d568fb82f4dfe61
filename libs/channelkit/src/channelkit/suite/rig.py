"""What the contract suite runs a channel on: a real NATS, replicas that come and go, and a view of what arrived."""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta
from typing import Any, Literal, Protocol, TypeVar

from contracts import subjects
from contracts.base import Message
from contracts.channels import Channel
from contracts.commands import OURS, Content, Recipient, SendMessage
from contracts.inbox import Received
from contracts.requests import AnswerLogin, Reply
from contracts.state import ALL, Challenge, DesiredAccount, SessionState, SessionStatus, WorkerSwitch
from contracts.topology import topology
from servicekit import stream_reader
from servicekit import topology as server_topology
from servicekit.bus import Bus
from servicekit.clock import boottime, utcnow
from servicekit.errors import Unavailable
from servicekit.kv import Bucket
from servicekit.secrets import channel_sealer, generate_key

from channelkit.manager import ChannelManager
from channelkit.protocol import ChannelDriver
from channelkit.settings import ChannelSettings

T = TypeVar("T")
Behaviour = Literal["accepts", "refuses", "defers"]
"""How the platform treats an address: takes its messages; refuses them for good; refuses once, then takes them."""
READY = SessionStatus.READY
ASKING = (SessionStatus.AWAITING_CODE, SessionStatus.AWAITING_PASSWORD, SessionStatus.AWAITING_QR)
QUICK = {
    "heartbeat_ttl_seconds": 3,
    "heartbeat_every_seconds": 0.7,
    "lease_look_seconds": 0.3,
    "probe_seconds": 1.0,
    "report_seconds": 0.2,
    "sweep_seconds": 1.0,
    "first_backoff_seconds": 0.1,
    "shutdown_grace_seconds": 5.0,
}


class World(Protocol):
    """The platform of the channel under test, as the suite needs it."""

    channel: Channel

    def driver(self) -> ChannelDriver:
        """Return a driver of its own for one replica."""

    def settings(self, account_id: str) -> dict[str, Any]:
        """Return the settings of an account that exists on the platform."""

    def credentials(self, account_id: str) -> dict[str, str]:
        """Return credentials that are right."""

    def wrong_login(self, account_id: str) -> dict[str, Any]:
        """Return what the platform refuses: `credentials` or `settings` of the account, to be changed for a login."""

    async def right_answer(self, account_id: str) -> str | None:
        """Return what answers the code the login is asking for, None where it asks for none."""

    def password(self, account_id: str) -> str | None:
        """Return what the login asks for after the code (two-step verification), None where it does not."""

    async def scan(self, account_id: str) -> None:
        """Scan the QR the login shows, as a phone does; nothing to do where none is ever shown."""

    def address(self, behaviour: Behaviour) -> str:
        """Return a new address."""

    async def copies(self, command: SendMessage) -> int:
        """Return how many times the command's first bubble truly arrived."""

    async def write_to(self, account_id: str, text: str) -> None:
        """Let somebody send *text* to an account."""


class Replica:
    """One process of the channel, within the test."""

    def __init__(self, settings: ChannelSettings, world: World) -> None:
        self.bus = Bus(settings)
        self.manager = ChannelManager(self.bus, world.channel, world.driver(), settings)

    async def start(self) -> "Replica":
        """Begin."""
        await self.bus.start()
        await self.manager.start()
        return self

    async def stop(self) -> None:
        """End as on SIGTERM."""
        await self.manager.stop()
        await self.bus.stop()

    async def cut(self) -> None:
        """Cut the replica off for good: it lives, but reaches nobody and releases nothing."""
        await self.bus.nc.close()


class Rig:
    """Drives one channel over the bus alone, as accounts and campaigns do."""

    def __init__(self, nats_url: str, world: World, **quick: Any) -> None:
        self.world, self.channel = world, world.channel
        self.settings = ChannelSettings(
            service=self.channel.service, nats_url=nats_url, sealing_keys=generate_key(), address_hmac_keys="one,two",
            send_timeout_seconds=2.0, **{**QUICK, **quick},
        )  # fmt: skip
        self.bus = Bus(self.settings)
        self.sealer = channel_sealer(self.settings, self.channel)
        self.accounts = Bucket(self.bus, subjects.bucket("accounts", self.channel), DesiredAccount)
        self.sessions = Bucket(self.bus, subjects.bucket("sessions", self.channel), SessionState)
        self.replicas: list[Replica] = []
        self._versions: dict[str, DesiredAccount] = {}
        self._numbers = 0

    async def open(self) -> None:
        """Connect and create streams and buckets."""
        await self.bus.start()
        await self.bus.wait_connected()
        await server_topology.apply(self.bus.js, topology([self.channel]))

    async def close(self) -> None:
        """Stop every replica."""
        await asyncio.gather(*(r.stop() for r in self.replicas), return_exceptions=True)
        await self.bus.stop()

    async def replica(self, **settings: Any) -> Replica:
        """Start one more replica."""
        made = Replica(
            self.settings.model_copy(update={"instance_id": f"r-{secrets.token_hex(3)}", **settings}), self.world
        )
        self.replicas.append(made)
        return await made.start()

    async def want(
        self, account_id: str, *, new_login: bool = False, credentials: dict[str, str] | None = None, **changes: Any
    ) -> DesiredAccount:
        """Write a new version of an account's desired state, as accounts does."""
        last = self._versions.get(account_id)
        version = last.version + 1 if last else 1
        if last is None or credentials is not None:
            changes["credentials"] = self.sealed(credentials or self.world.credentials(account_id), account_id)
            new_login = True
        base = last.model_dump() if last else {
            "account_id": account_id, "channel": self.channel, "status": "active",
            "settings": self.world.settings(account_id),
        }  # fmt: skip
        wanted = DesiredAccount.model_validate({
            **base, **changes, "version": version, "login_version": version if new_login or not last else last.login_version,
        })  # fmt: skip
        await self.put(wanted)
        return wanted

    async def put(self, wanted: DesiredAccount) -> None:
        """Write a desired state as it is."""
        await self.accounts.put(wanted.account_id, wanted)
        self._versions[wanted.account_id] = wanted

    def last_wanted(self, account_id: str) -> DesiredAccount:
        """Return the desired state last written."""
        return self._versions[account_id]

    def sealed(self, values: dict[str, str], context: str) -> str:
        """Return values as JSON, sealed with the channel's key."""
        return self.sealer.seal(json.dumps(values).encode(), context)

    async def keys(self, kind: Any) -> list[str]:
        """Return the keys of one of the channel's buckets."""
        return await Bucket(self.bus, subjects.bucket(kind, self.channel), SessionState).keys()

    async def drop(self, replica: Replica) -> None:
        """Stop a replica as SIGTERM does."""
        self.replicas.remove(replica)
        await replica.stop()

    async def vanish(self, account_id: str) -> None:
        """Remove the desired state, as accounts does after `deleted`."""
        await self.accounts.delete(account_id)

    async def switch_all(self, *, worker: bool) -> None:
        """Turn the worker switch for all."""
        await Bucket(self.bus, self.accounts.name, WorkerSwitch).put(ALL, WorkerSwitch(worker=worker))

    async def state(self, account_id: str) -> SessionState | None:
        """Return the account's actual state."""
        entry = await self.sessions.get(account_id)
        return entry.value if entry else None

    async def reach(
        self, account_id: str, *statuses: SessionStatus, seconds: float = 20.0, but_not: Collection[str] = ()
    ) -> SessionState:
        """Wait until the account is in one of *statuses* at the version last wanted. *but_not*: challenges met before."""

        async def there() -> SessionState | None:
            state = await self.state(account_id)
            good = state and state.status in statuses and state.observed_version == self._versions[account_id].version
            stale = state and state.challenge and state.challenge.id in but_not
            return state if good and not stale else None

        return await eventually(there, seconds, f"{account_id} to become {' or '.join(statuses)}")

    async def log_in(self, account_id: str) -> SessionState:
        """Have the account logged in: what the login asks (a code, then a password; or a scan) is answered."""
        if account_id not in self._versions:
            await self.want(account_id)
        answered: set[str] = set()
        while (state := await self.reach(account_id, READY, *ASKING, but_not=answered)).status is not READY:
            assert state.challenge, state
            answered.add(state.challenge.id)
            await self._meet(account_id, state.challenge)
        return state

    async def _meet(self, account_id: str, challenge: Challenge) -> None:
        if challenge.kind == "qr":
            await self.world.scan(account_id)
            return
        asked_password = challenge.kind == "password"
        text = self.world.password(account_id) if asked_password else await self.world.right_answer(account_id)
        assert text, f"the login asks for a {challenge.kind}, and the world knows none"
        reply = await self.answer(account_id, challenge.id, text)
        assert reply.ok, reply

    async def answer(self, account_id: str, challenge_id: str, text: str) -> Reply:
        """Answer a login challenge, as accounts does."""
        sealed = self.sealer.seal(text.encode(), f"answer/{account_id}")
        request = AnswerLogin(account_id=account_id, challenge_id=challenge_id, answer=sealed)
        return await self.request(subjects.request(self.channel, account_id, "answer"), request)

    async def request(self, subject: str, message: Message) -> Reply:
        """Ask by core request/reply."""
        return Reply.model_validate_json(await self.bus.request(subject, message, timeout=10))

    def command(
        self, account_id: str, behaviour: Behaviour = "accepts", *, to: str = "", **changes: Any
    ) -> SendMessage:
        """Return a new command of a campaign."""
        self._numbers += 1
        return SendMessage.model_validate({
            "id": secrets.token_hex(8), "source": OURS, "account_id": account_id, "campaign_id": "c1",
            "row": secrets.token_hex(16), "batch": "c1.1", "number": self._numbers,
            "not_after": utcnow() + timedelta(hours=1), "to": Recipient(address=to or self.world.address(behaviour)),
            "content": Content(subject="Promo", text=f"hello {self._numbers}"), **changes,
        })  # fmt: skip

    async def send(self, *commands: SendMessage, queue: subjects.Queue = "bulk") -> None:
        """Publish commands."""
        for command in commands:
            await self._publish(subjects.send(self.channel, command.account_id, queue), command)

    async def _publish(self, subject: str, command: SendMessage) -> None:
        msg_id = secrets.token_hex(8)

        async def acknowledged() -> bool:
            try:
                return await self.bus.publish(subject, command, msg_id=msg_id, timeout=1) > 0
            except Unavailable:
                return False

        await eventually(acknowledged, 10, "the command to be acknowledged")

    async def ends(self, command: SendMessage) -> list[tuple[str, dict[str, Any]]]:
        """Return (what, event) of every event about the command's row."""
        events = await self.events(command.account_id)
        return [(what, event) for what, event in events if event.get("row") == command.row]

    async def end(self, command: SendMessage, *whats: str, seconds: float = 20.0) -> dict[str, Any]:
        """Wait for one of the ends named, and return its event."""

        async def there() -> dict[str, Any] | None:
            return next((event for what, event in await self.ends(command) if what in whats), None)

        return await eventually(there, seconds, f"{command.row} to be {' or '.join(whats)}")

    async def received(self, account_id: str, text: str) -> list[Received]:
        """Return the inbound messages announced that hold *text*."""
        events = [Received.model_validate(e) for what, e in await self.events(account_id) if what == "received"]
        return [event for event in events if text in event.text]

    async def events(self, account_id: str) -> list[tuple[str, dict[str, Any]]]:
        """Return everything in INBOX of an account."""
        found = await self.stored("INBOX", subjects.inbox(self.channel, account_id, "*"))
        return [(subject.split(".")[3], json.loads(data)) for subject, data in found]

    async def statuses(self, account_id: str) -> list[str]:
        """Return the session states announced, oldest first."""
        found = await self.stored("EVENTS", subjects.session(self.channel, account_id))
        return [json.loads(data)["status"] for _, data in found]

    async def dead_letters(self) -> list[tuple[str, bytes]]:
        """Return (subject, payload) of the dead letters."""
        return await self.stored("DLQ", "dlq.>")

    async def stored(self, stream: str, subject: str) -> list[tuple[str, bytes]]:
        """Return what a stream holds under a pattern."""
        return [(m.subject, m.data) async for m in stream_reader.read(self.bus.js, stream, subject)]

    async def waiting(self, account_id: str) -> int:
        """Return how many commands of an account are in the stream."""
        stream = subjects.commands_stream(self.channel)
        info = await self.bus.js.stream_info(stream, subjects_filter=f"cmd.{self.channel}.{account_id}.>")
        return sum((info.state.subjects or {}).values())


async def eventually(probe: Callable[[], Awaitable[T | None]], seconds: float = 20.0, what: str = "it") -> T:
    """Ask until the answer is truthy, and return it. Raises AssertionError after so many seconds."""
    until = boottime() + seconds
    while True:
        if found := await probe():
            return found
        if boottime() > until:
            raise AssertionError(f"waited {seconds:g} s for {what}")
        await asyncio.sleep(0.05)
