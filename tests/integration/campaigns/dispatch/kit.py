"""The service under test, and a lane that does what a test tells it: it obeys ledger and subjects as a real one does."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
from campaigns.context import Context
from campaigns.main import build
from campaigns.settings import Settings
from contracts import subjects
from contracts.channels import Channel
from contracts.commands import SendMessage
from contracts.inbox import Cancelled, Failed, Outcome, Sent, Unknown
from contracts.state import DesiredAccount, LedgerEntry, Pace, SessionState
from contracts.topology import topology
from nats.js import api
from servicekit import topology as bus_topology
from servicekit.auth import Role, issue_token
from servicekit.bus import Bus
from servicekit.clock import utcnow
from servicekit.errors import Conflict
from servicekit.kv import Bucket
from servicekit.ledger import Ledger
from servicekit.settings import ServiceSettings

from tests.support.servers import NatsServer

Decide = Callable[[SendMessage], LedgerEntry | None]
EMAIL = Channel.EMAIL


def settings_for(nats_url: str, mongo_url: str, database: str, **changes: Any) -> Settings:
    """Return settings with good keys and short pauses."""
    return Settings(
        nats_url=nats_url, mongo_url=mongo_url, mongo_db=database, address_hmac_keys="practice-address-key",
        jwt_secret="practice-jwt-secret-of-more-than-32-characters", public_url="https://kurir.example",
        **{"channels": "email", "count_every_seconds": 0.1, "sweep_every_seconds": 0.3, "send_timeout_seconds": 0.5} | changes,
    )  # fmt: skip


def sent(command: SendMessage) -> LedgerEntry:
    """Decide that the platform accepted it."""
    return LedgerEntry(state="sent", at=utcnow(), tries=command.tries + 1)


def failed(command: SendMessage) -> LedgerEntry:
    """Decide that the platform refused it."""
    return LedgerEntry(state="failed", reason="no_such_user", detail="550 5.1.1", at=utcnow(), tries=command.tries + 1)


def outcome(command: SendMessage, entry: LedgerEntry) -> Outcome:
    """Return the event a lane publishes for the end of an attempt."""
    common: dict[str, Any] = {
        "account_id": command.account_id, "channel": EMAIL, "campaign_id": command.campaign_id, "row": command.row,
        "batch": command.batch, "k": command.k, "number": command.number, "wanted": command.wanted,
        "tries": entry.tries, "at": entry.at,
    }  # fmt: skip
    why = {"reason": entry.reason, "detail": entry.detail}
    match entry.state:
        case "sent":
            return Sent(**common)
        case "failed":
            return Failed(**common, **why)
        case "unknown":
            return Unknown(**common, **why)
    return Cancelled(**common, **why, not_before=entry.not_before)


@dataclass
class Lane:
    """Takes an account's commands; `decide` says what becomes of each, None: claimed, and no more is heard of it."""

    bus: Bus
    account: str
    decide: Decide = sent
    seen: list[SendMessage] = field(default_factory=list)
    delivered: Counter[str] = field(default_factory=Counter)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    hold: asyncio.Event = field(default_factory=asyncio.Event)

    def start(self) -> None:
        """Begin pulling both queues."""
        self.hold.set()
        self.tasks = [asyncio.create_task(self._pull(queue)) for queue in ("now", "bulk")]

    async def stop(self) -> None:
        """End without settling what was pulled."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _pull(self, queue: subjects.Queue) -> None:
        subject = subjects.send(EMAIL, self.account, queue)
        durable = subjects.consumer(self.account, queue)
        config = api.ConsumerConfig(ack_wait=5, max_deliver=-1, max_ack_pending=1_000)
        pull = await self.bus.js.pull_subscribe(subject, durable, stream="COMMANDS_EMAIL", config=config)
        while True:
            await self.hold.wait()
            with contextlib.suppress(TimeoutError):
                for msg in await pull.fetch(100, timeout=0.5):
                    await self.hold.wait()
                    await self.one(SendMessage.model_validate_json(msg.data))
                    await msg.ack_sync()

    async def one(self, command: SendMessage) -> None:
        """Claim, decide, write down and tell, as a lane does; what is cancelled or ended is only told again."""
        self.seen.append(command)
        ledger, key = Ledger(self.bus, EMAIL), command.ledger_key
        if command.not_after < utcnow():
            entry = LedgerEntry(state="cancelled", reason="expired", at=utcnow())
        else:
            entry = self.decide(command) or LedgerEntry(state="claimed", token="t", at=utcnow())
        try:
            await ledger.write(key, entry, 0)
        except Conflict:
            found = await ledger.read(key)
            assert found is not None
            entry = found.entry
        else:
            if entry.state == "sent":
                self.delivered[f"{command.row}.{command.wanted}"] += 1
        if entry.is_end:
            await self.tell(command, entry)

    async def tell(self, command: SendMessage, entry: LedgerEntry) -> None:
        """Publish the outcome."""
        event = outcome(command, entry)
        subject = subjects.inbox(EMAIL, command.account_id, event.NAME.removeprefix("message."))
        await self.bus.publish(subject, event, msg_id=f"{command.attempt}.{command.wanted}.{entry.state}")


class Service:
    """The running service, its REST client, and accounts on the bus."""

    def __init__(self, ctx: Context, http: httpx.AsyncClient, nats: NatsServer, outside: Bus) -> None:
        self.ctx, self.http, self.nats, self.bus = ctx, http, nats, outside
        self.lanes: list[Lane] = []

    async def account(
        self, name: str = "acc_1", pace: Pace | None = None, channel: Channel = EMAIL, **state: Any
    ) -> str:
        """Put an active, ready account on the bus."""
        desired = DesiredAccount(account_id=name, channel=channel, version=1, status="active", pace=pace or Pace())
        desired = desired.model_copy(update={n: v for n, v in state.items() if n in DesiredAccount.model_fields})
        await Bucket(self.bus, subjects.bucket("accounts", channel), DesiredAccount).put(name, desired)
        await self.session(name, channel=channel)
        await until(
            lambda: self.ctx.accounts.session(channel, name) and self.ctx.accounts.desired(channel, name) == desired
        )
        return name

    async def session(self, name: str, status: str = "ready", channel: Channel = EMAIL, **state: Any) -> None:
        """Report a session's state, as its holder would."""
        now = utcnow()
        found = SessionState(account_id=name, channel=channel, status=status, since=now, updated_at=now, **state)
        await Bucket(self.bus, subjects.bucket("sessions", channel), SessionState).put(name, found)

    def lane(self, account: str = "acc_1", decide: Decide = sent) -> Lane:
        """Start a lane for an account."""
        lane = Lane(self.bus, account, decide)
        lane.start()
        self.lanes.append(lane)
        return lane

    async def call(self, method: str, path: str, expect: int | None = None, **options: Any) -> Any:
        """Call the API; fails for an unexpected status."""
        answer = await self.http.request(method, path, **options)
        wanted = {expect} if expect else {200, 201, 202, 204}
        assert answer.status_code in wanted, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    async def campaign(self, recipients: int = 10, accounts: tuple[str, ...] = ("acc_1",), **fields: Any) -> str:
        """Create a campaign to so many recipients of a file."""
        body = {"name": "Kopi", "channel": "email", "accounts": list(accounts), "subject": "{Hi|Halo} {{ name }}",
                "text": "Kopi untuk {{ name }} di {{ city }}"} | fields  # fmt: skip
        made = (await self.call("POST", "/v1/campaigns", json=body))["id"]
        lines = "".join(f"Orang {n},p{n}@example.com,Kota {n}\n" for n in range(recipients))
        await self.call("PUT", f"/v1/campaigns/{made}/file", content=f"name,email,city\n{lines}".encode())
        return made

    async def process(self, campaign: str, **params: Any) -> Any:
        """Process a campaign."""
        return await self.call("POST", f"/v1/campaigns/{campaign}/process", params=params)

    async def read(self, campaign: str) -> Any:
        """Return a campaign as the API shows it."""
        return await self.call("GET", f"/v1/campaigns/{campaign}")

    async def status(self, campaign: str, status: str, seconds: float = 20) -> Any:
        """Wait for a status and return the campaign."""
        return await until(lambda: self._in(campaign, status), seconds)

    async def _in(self, campaign: str, status: str) -> Any:
        found = await self.read(campaign)
        return found if found["status"] == status else None

    async def rows(self, campaign: str, **filters: Any) -> list[dict[str, Any]]:
        """Return every row of a campaign from the store, by number."""
        found = self.ctx.db["rows"].find({"campaign": campaign, **filters}, sort=[("number", 1)])
        return [row async for row in found]


async def until(ask: Callable[[], Any], seconds: float = 30) -> Any:
    """Return the first truthy answer; fails after *seconds*."""
    deadline = time.monotonic() + seconds
    while True:
        found = ask()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def running(nats: NatsServer, mongo_url: str, database: str, **changes: Any) -> AsyncIterator[Service]:
    """Run the service with all its loops, and a bus for the world outside it."""
    outside = Bus(ServiceSettings(service="test", nats_url=nats.url))
    await outside.start()
    await outside.wait_connected()
    settings = settings_for(nats.url, mongo_url, database, **changes)
    await bus_topology.apply(outside.js, topology(settings.enabled))
    app = build(settings)
    ctx: Context = app.state.context
    token = issue_token(settings, "operator-1", Role.OPERATOR)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with app.router.lifespan_context(app):
        http = httpx.AsyncClient(transport=transport, base_url="http://t", headers={"Authorization": f"Bearer {token}"})
        made = Service(ctx, http, nats, outside)
        await ctx.bus.wait_ready(20)
        for channel in settings.enabled:
            await until(lambda channel=channel: ctx.incarnations.get(channel), 20)
        try:
            yield made
        finally:
            for lane in made.lanes:
                await lane.stop()
            await http.aclose()
    ctx.db.close()
    await outside.nc.close()  # draining would wait for the pulls of stopped lanes
    await outside.stop()


def ago(seconds: float) -> Any:
    """Return a moment in the past."""
    return utcnow() - timedelta(seconds=seconds)
