"""A channel whose platform is in memory: for the kit's own tests, and to see in one page what a channel consists of."""

import asyncio
import itertools
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from contracts import ids
from contracts.channels import Channel
from contracts.commands import Recipient, SendMessage
from contracts.inbox import Received
from contracts.requests import TestStep
from contracts.state import Challenge, SessionStatus
from servicekit import tasks
from servicekit.clock import utcnow
from servicekit.errors import Permanent, Retry

from channelkit.protocol import (
    Capabilities,
    Credentials,
    Host,
    NeedsLogin,
    OutcomeUnknown,
    Outgoing,
    Sender,
    Session,
    Shown,
)

Kind = Literal["code", "password", "qr"]
Fault = Callable[[], Exception | None]


@dataclass
class FakePlatform:
    """The platform's own memory: it outlives sessions, replicas and drivers."""

    code: str | None = None
    """What a login must answer; None: the password is enough."""
    second_password: str | None = None
    """What it asks for after the code."""
    scans: bool = False
    """A login shows a QR instead."""
    password: str = "right"  # noqa: S105
    deduplicates: bool = False
    silent: bool = False
    """Nothing is answered: probes fail."""
    unreachable: bool = False
    """Logins fail."""
    delay_seconds: float = 0.0
    received: list[tuple[str, str, str]] = field(default_factory=list)
    """(platform key, address, text) of every message that truly arrived."""
    faults: dict[str, deque[Exception]] = field(default_factory=lambda: defaultdict(deque))
    """Raised by the next sends to an address, one each, before anything arrives."""
    after: dict[str, deque[Exception]] = field(default_factory=lambda: defaultdict(deque))
    """The same, raised once the message has arrived."""
    hanging: set[str] = field(default_factory=set)
    """Sends to these addresses never return."""
    inbox: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    """Account → (sender, text) of the messages written to it."""
    came: asyncio.Condition = field(default_factory=asyncio.Condition)
    logged_in: set[str] = field(default_factory=set)
    logins: Counter[str] = field(default_factory=Counter)
    open_sessions: Counter[str] = field(default_factory=Counter)
    logged_out: list[str] = field(default_factory=list)

    def copies(self, key: str) -> int:
        """Return how many messages of a platform key arrived."""
        return sum(known == key for known, _, _ in self.received)

    async def write_to(self, account_id: str, sender: str, text: str) -> None:
        """Let somebody write to an account."""
        self.inbox[account_id].append((sender, text))
        async with self.came:
            self.came.notify_all()

    async def scan(self, account_id: str) -> None:
        """Scan the QR of an account's login, as a phone does."""
        self.logged_in.add(account_id)
        async with self.came:
            self.came.notify_all()

    async def take(self, key: str, address: str, text: str) -> str:
        """Take a message in, as the faults of its address allow, and return the platform's id."""
        if address in self.hanging:
            await asyncio.Event().wait()
        await asyncio.sleep(self.delay_seconds)
        if self.faults[address]:
            raise self.faults[address].popleft()
        if not (self.deduplicates and self.copies(key)):
            self.received.append((key, address, text))
        if self.after[address]:
            raise self.after[address].popleft()
        return f"fake-{key[:12]}"


class FakeSender:
    """Sends bubble after bubble."""

    def __init__(self, platform: FakePlatform) -> None:
        self._platform = platform

    async def send(self, out: Outgoing, following: Callable[[], Outgoing | None]) -> Sequence[str]:  # noqa: ARG002
        """Claim, then send what an earlier try has not."""
        await out.claim()
        content, done = out.command.content, list(out.parts_done)
        for part, text in enumerate([content.text, *content.bubbles]):
            if part >= len(done):
                done.append(await self._platform.take(out.platform_key(part), out.command.to.address, text))
                await out.part_sent(done[-1])
        return done

    async def abandon(self) -> None:
        """Nothing rides along here."""

    async def close(self) -> None:
        """Nothing to close."""


class FakeSession:
    """A session with its login and its inbox."""

    def __init__(self, platform: FakePlatform, host: Host) -> None:
        self._platform, self._host = platform, host
        self._account = host.account.account_id
        self._challenge = ""
        self._asked: Kind = "code"
        self._reading: asyncio.Task[None] | None = None
        self._waiting: asyncio.Task[None] | None = None
        platform.open_sessions[self._account] += 1

    async def log_in(self) -> None:
        """Try the password, then an imported session, then the kept one, then ask for a code."""
        platform, host = self._platform, self._host
        platform.logins[self._account] += 1
        if platform.unreachable:
            platform.open_sessions[self._account] -= 1
            raise Retry(1, "the platform cannot be reached")
        if host.credentials.values.get("password") != platform.password:
            await host.report(SessionStatus.LOGGED_OUT, "wrong password")
        elif imported := await host.imported_session():
            await self._logged_in(imported)
        elif self._account in platform.logged_in and await host.load_session():
            await self._ready()
        elif platform.scans:
            self._waiting = asyncio.create_task(self._be_scanned())
        elif platform.code is not None:
            await self._ask("code")
        else:
            await self._ready()

    async def answer(self, challenge_id: str, answer: str, *, resend: bool) -> None:
        """Take the code, then the second password."""
        kind, platform = self._asked, self._platform
        if challenge_id != self._challenge:
            raise Permanent("expired_code")
        if resend:
            await self._ask(kind)
        elif answer != (platform.code if kind == "code" else platform.second_password):
            raise Permanent(f"wrong_{kind}", f"the platform does not accept this {kind}")
        elif kind == "code" and platform.second_password is not None:
            await self._ask("password")
        else:
            await self._logged_in(b"session of " + self._account.encode())

    def sender(self) -> Sender:
        """Return a sender."""
        return FakeSender(self._platform)

    async def check(self, address: str) -> bool | None:
        """Everybody but `nobody` exists."""
        return not address.startswith("nobody")

    async def was_sent(self, key: str, command: SendMessage) -> bool | None:  # noqa: ARG002
        """Look the key up."""
        return self._platform.copies(key) > 0

    async def probe(self) -> None:
        """Ask for a sign of life."""
        if self._platform.silent:
            raise Retry(1, "the platform does not answer")
        if (self._platform.code is not None or self._platform.scans) and self._account not in self._platform.logged_in:
            raise NeedsLogin("logged out from another device")

    async def log_out(self) -> None:
        """Log out."""
        self._platform.logged_in.discard(self._account)
        self._platform.logged_out.append(self._account)

    async def close(self) -> None:
        """Stop reading."""
        self._platform.open_sessions[self._account] -= 1
        await tasks.end([self._reading, self._waiting])

    async def _ask(self, kind: Kind) -> None:
        self._asked, self._challenge = kind, ids.digest("challenge", self._account, utcnow().isoformat())
        challenge = Challenge(id=self._challenge, kind=kind, hint=f"the {kind} of the fake platform")
        shown = Shown("qr", self._challenge.encode()) if kind == "qr" else None
        await self._host.report(SessionStatus(f"awaiting_{kind}"), challenge=challenge, shown=shown)

    async def _be_scanned(self) -> None:
        await self._ask("qr")
        async with self._platform.came:
            while self._account not in self._platform.logged_in:
                await self._platform.came.wait()
        await self._logged_in(b"session of " + self._account.encode())

    async def _logged_in(self, session: bytes) -> None:
        self._platform.logged_in.add(self._account)
        await self._host.save_session(session)
        await self._ready()

    async def _ready(self) -> None:
        await self._host.report(SessionStatus.READY, identity=f"fake:{self._account}")
        self._reading = asyncio.create_task(self._read_for_ever())

    async def _read_for_ever(self) -> None:
        messages = self._platform.inbox[self._account]
        for index in itertools.count(int((await self._host.cursor()).get("inbox", "0"))):
            async with self._platform.came:
                while index >= len(messages):
                    await self._platform.came.wait()
            await self._hand_in(index)
            await self._host.save_cursor({"inbox": str(index + 1)})

    async def _hand_in(self, index: int) -> None:
        sender, text = self._platform.inbox[self._account][index]
        event_id = ids.inbound_id(self._account, str(index))
        event = Received(
            id=event_id,
            account_id=self._account,
            channel=self._host.account.channel,
            platform_id=str(index),
            sender=Recipient(address=sender),
            conversation=sender,
            at=utcnow(),
            text=text,
        )
        await self._host.remember(f"peer_{ids.digest(sender)}", sender.encode())
        await self._host.publish(event, event_id)


class FakeChannel:
    """The driver; several may share one platform, as replicas do."""

    def __init__(
        self,
        platform: FakePlatform,
        channel: Channel = Channel.TELEGRAM,
        capabilities: Capabilities | None = None,
    ) -> None:
        self.platform, self.channels = platform, (channel,)
        self.capabilities = capabilities or Capabilities(
            idempotent_send=platform.deduplicates, send_timeout_seconds=2.0
        )

    async def open(self, host: Host) -> Session:
        """Begin the login."""
        session = FakeSession(self.platform, host)
        await session.log_in()
        return session

    async def test(self, channel: Channel, settings: dict[str, Any], credentials: Credentials) -> list[TestStep]:  # noqa: ARG002
        """Try the password."""
        good = credentials.values.get("password") == self.platform.password
        return [TestStep(name="connect", ok=True), TestStep(name="log_in", ok=good, detail="" if good else "refused")]


def unknown_outcome() -> OutcomeUnknown:
    """Return the fault of a connection lost between content and answer."""
    return OutcomeUnknown("the connection was lost before the answer")
