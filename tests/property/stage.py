"""The campaigns service on real servers, its loops stopped: dispatcher, sweeper and counts move when a test says so."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import httpx
from campaigns import main, relay
from campaigns.campaign.store import collection
from campaigns.context import Context
from campaigns.dispatch import gone, incarnation, sweeper
from campaigns.dispatch.dispatcher import Dispatcher
from campaigns.dispatch.lease import LeaseLost
from campaigns.loops import prepare
from campaigns.outbox import counts, messaging
from campaigns.outbox.rows import EPOCH
from contracts import subjects
from contracts.base import Message
from contracts.channels import Channel
from contracts.commands import SendMessage
from contracts.state import DesiredAccount, SessionState, SessionStatus
from contracts.topology import topology
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError
from servicekit import stream_reader
from servicekit import topology as bus_topology
from servicekit.app import build_api
from servicekit.auth import Role, issue_token
from servicekit.bus import Bus
from servicekit.clock import utcnow
from servicekit.errors import Unavailable
from servicekit.kv import Bucket
from servicekit.settings import ServiceSettings

from tests.integration.campaigns.dispatch.kit import settings_for, until
from tests.property.fuse import Fuse, Killed, wired

T = TypeVar("T")
EMAIL = Channel.EMAIL
_LONG = timedelta(hours=13)
"""Past the longest life of a batch."""


class Stage:
    """Made once per test; each example plays with campaigns and accounts of its own. `run` is the way in."""

    def __init__(self, nats_url: str, mongo_url: str, database: str) -> None:
        """Nothing is opened yet."""
        self.settings = settings_for(nats_url, mongo_url, database)
        self.runner = asyncio.Runner()
        self._stack = contextlib.AsyncExitStack()
        self.examples = 0
        self._unheard = False
        self.ctx: Context
        self.http: httpx.AsyncClient
        self.bus: Bus

    def run(self, work: Coroutine[Any, Any, T], seconds: float = 60) -> T:
        """Run to its end; the service's own tasks move meanwhile. Raises TimeoutError."""
        return self.runner.run(_within(work, seconds))

    def open(self) -> None:
        """Start."""
        self.run(self._open())

    def close(self) -> None:
        """Stop."""
        self.run(self._stack.aclose())
        self.runner.close()

    async def _open(self) -> None:
        self.bus = Bus(ServiceSettings(service="test", nats_url=self.settings.nats_url))
        await self.bus.start()
        self._stack.push_async_callback(self.bus.stop)
        await self.bus.wait_connected()
        await bus_topology.apply(self.bus.js, topology([EMAIL]))
        self.ctx = main.build_context(self.settings)
        messaging.subscribe(self.ctx)
        gone.subscribe(self.ctx)
        loops = [partial(incarnation.run, self.ctx), *(watch.run for watch in self.ctx.accounts.watches)]
        app = build_api(
            self.settings,
            self.ctx.bus,
            main.ROUTERS,
            startup=[partial(prepare, self.ctx)],
            background=loops,
            title="test",
        )
        app.state.context = self.ctx
        await self._stack.enter_async_context(app.router.lifespan_context(app))
        self._stack.callback(self.ctx.db.close)
        headers = {"Authorization": f"Bearer {issue_token(self.settings, 'operator-1', Role.OPERATOR)}"}
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://t", headers=headers)
        await self.ctx.bus.wait_ready(20)
        await until(lambda: self.ctx.incarnations.get(EMAIL), 20)

    # people

    async def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Call the API; nothing may ever answer with 500."""
        answer = await self.http.request(method, path, **options)
        assert answer.status_code < 500, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    async def campaign(self, accounts: list[str], recipients: int, **fields: Any) -> str:
        """Create a draft with a file of recipients whom no other example knows."""
        body = {"name": "Kopi", "channel": "email", "accounts": accounts, "subject": "Hi", "text": "Kopi", **fields}
        made = await self.call("POST", "/v1/campaigns", json=body)
        campaign = str(made.json()["id"])
        lines = "".join(f"Orang,p{self.examples}.{n}@example.com\n" for n in range(recipients))
        await self.call("PUT", f"/v1/campaigns/{campaign}/file", content=f"name,email\n{lines}".encode())
        return campaign

    # accounts and their sessions, as their services write them

    async def account(self, name: str, version: int = 1, status: str = "active") -> None:
        """Want an account so, its session ready, and wait until the service knows."""
        wanted = DesiredAccount.model_validate(
            {"account_id": name, "channel": EMAIL, "version": version, "status": status}
        )
        await Bucket(self.bus, "accounts_email", DesiredAccount).put(name, wanted)
        await self.session(name, SessionStatus.READY)
        await until(lambda: self.ctx.accounts.desired(EMAIL, name) == wanted)
        await until(lambda: self.ctx.accounts.session(EMAIL, name))

    async def session(self, name: str, status: SessionStatus) -> None:
        """Report an account's session."""
        now = utcnow()
        state = SessionState(account_id=name, channel=EMAIL, status=status, since=now, updated_at=now)
        await Bucket(self.bus, "sessions_email", SessionState).put(name, state)

    async def vanish(self, name: str) -> None:
        """Remove the desired state of an account, as accounts does once it is deleted."""
        await Bucket(self.bus, "accounts_email", DesiredAccount).delete(name)
        await until(lambda: self.ctx.accounts.desired(EMAIL, name) is None)

    # the bus

    async def publish(self, what: str, event: Message, account: str, msg_id: str = "") -> None:
        """Publish an event of a channel; without *msg_id* it is never taken for a duplicate."""
        self._unheard = True
        await self.bus.publish(subjects.inbox(EMAIL, account, what), event, msg_id=msg_id or None)

    async def heard(self) -> None:
        """Wait until the service has taken every event published here."""
        if self._unheard:
            await self.taken(messaging.STREAM, messaging.DURABLE)
        self._unheard = False

    async def taken(self, stream: str, durable: str) -> None:
        """Wait until a reader of the service has acknowledged all that a stream holds."""

        async def nothing_left() -> bool:
            info = await self.bus.js.consumer_info(stream, durable)
            return not info.num_pending and not info.num_ack_pending

        await quickly(nothing_left)

    async def pulled(self, account: str) -> list[SendMessage]:
        """Take every command of an account out of its queues."""
        found = []
        for queue in ("now", "bulk"):
            while (msg := await self._first(subjects.send(EMAIL, account, queue))) is not None:
                found.append(SendMessage.model_validate_json(msg.data or b""))
                await self.bus.js.delete_msg(subjects.commands_stream(EMAIL), msg.seq or 0)
        return found

    async def _first(self, subject: str) -> RawStreamMsg | None:
        with contextlib.suppress(NotFoundError):
            return await self.bus.js.get_msg(subjects.commands_stream(EMAIL), seq=1, subject=subject, next=True)
        return None

    async def domain_events(self, entity: str, what: str) -> list[dict[str, Any]]:
        """Return the domain events of a kind that were relayed."""
        subject = subjects.domain("campaigns", entity, what)
        return [json.loads(m.data) async for m in stream_reader.read(self.bus.js, "EVENTS", subject)]

    # the loops, one turn each

    async def dispatch(self, campaign: str, fuse: Fuse | None = None) -> None:
        """Make one pass over a campaign; a *fuse* kills or freezes the dispatcher on its way."""
        ctx = replace(self.ctx, db=wired(self.ctx.db, fuse), bus=wired(self.ctx.bus, fuse)) if fuse else self.ctx
        with contextlib.suppress(LeaseLost, Unavailable, Killed):
            await Dispatcher(ctx).once(campaign)

    async def lease_runs_out(self, campaign: str) -> None:
        """Let the time pass in which a dead or frozen dispatcher still holds the campaign."""
        await collection(self.ctx).update_one({"_id": campaign}, {"$set": {"lease_until": EPOCH}})

    async def sweep(self) -> None:
        """Sweep as if it were thirteen hours later."""
        await sweeper.sweep(self.ctx, utcnow() + _LONG)

    async def purge(self) -> None:
        """Forget the ledger of what was swept, as if it were another thirteen hours later."""
        await sweeper.purge(self.ctx, utcnow() + _LONG * 2)

    async def count(self) -> None:
        """Bring the counts up to date."""
        while await counts.refresh(self.ctx):
            pass

    async def relay(self, fuse: Fuse | None = None) -> None:
        """Publish the domain events that wait; a *fuse* kills the relay on its way."""
        events = wired(collection(self.ctx), fuse)
        with contextlib.suppress(Killed):
            while await relay.relay_once(self.ctx, events):
                pass

    # the books

    async def rows(self, campaign: str) -> list[dict[str, Any]]:
        """Return a campaign's rows in the order of their recipients."""
        found = await self.ctx.db["rows"].find_list({"campaign": campaign}, limit=100)
        return sorted(found, key=lambda row: row["key"])

    async def batches(self, campaign: str) -> set[str]:
        """Return every batch that was opened so far."""
        found = await collection(self.ctx).find_one({"_id": campaign}, {"k": 1})
        return {f"{campaign}.{k}" for k in range(1, int(found["k"]) + 1)} if found else set()


async def quickly(ask: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
    """Ask every few milliseconds until it is so. Raises AssertionError after *seconds*."""
    end = asyncio.get_running_loop().time() + seconds
    while not await ask():
        assert asyncio.get_running_loop().time() < end, "waited in vain"
        await asyncio.sleep(0.005)


async def _within(work: Coroutine[Any, Any, T], seconds: float) -> T:
    async with asyncio.timeout(seconds):
        return await work
