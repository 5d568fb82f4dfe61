"""A channel's real service on a real NATS, and nothing else: no store, no campaigns."""

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import nats
import psutil
from contracts import subjects
from contracts.channels import Channel
from contracts.commands import OURS, Content, Recipient, SendMessage
from contracts.headers import cloud_event
from contracts.ids import row_id
from contracts.state import DesiredAccount, Pace, SessionState, SessionStatus
from contracts.topology import topology
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import KeyNotFoundError
from servicekit import topology as rules
from servicekit import tracing
from servicekit.clock import utcnow
from servicekit.pipe import Pipe
from servicekit.secrets import generate_key

from tests.bench.measure import folder
from tests.support.processes import free_port
from tests.support.servers import NatsServer

TEXT = "Kopi Gayo sudah datang. " * 10
_SECONDS = 120.0


@dataclass
class Run:
    """What one run of the lane took."""

    per_second: float
    cpu_us: float
    nats_cpu_us: float


@dataclass
class Account:
    """An account in the bucket, as the accounts service writes it."""

    id: str
    settings: dict[str, Any]
    pace: Pace = field(default_factory=Pace)
    version: int = 0
    rows: int = 0


def mail_account(name: str, port: int, connections: int) -> Account:
    """Return an account of e-mail that sends through the server on that port."""
    smtp = {"host": "127.0.0.1", "port": port, "security": "none", "auth": "none", "from_address": "toko@practice.test"}
    return Account(name, {"smtp": smtp, "messages_per_connection": 100_000}, Pace(connections=connections))


@dataclass
class Bench:
    """Drives one channel's process over the bus."""

    nc: Client
    js: JetStreamContext
    pipe: Pipe
    process: psutil.Process
    nats: psutil.Process
    server: NatsServer
    key: str
    """Its accounts' sessions are sealed with it."""
    channel: Channel = Channel.EMAIL
    accounts: dict[str, Account] = field(default_factory=dict)

    async def account(self, name: str, port: int, connections: int) -> None:
        """Add an account of e-mail whose worker is off, and wait until it is signed in."""
        await self.open(mail_account(name, port, connections))

    async def open(self, *accounts: Account) -> None:
        """Add accounts whose workers are off, and wait until all are signed in."""
        for account in accounts:
            self.accounts[account.id] = account
            await self.want(account.id, worker=False)
        for account in accounts:
            await until(lambda name=account.id: self._is_ready(name))

    async def want(self, name: str, *, worker: bool) -> None:
        """Write the account's desired state."""
        account = self.accounts[name]
        account.version += 1
        wanted = DesiredAccount(
            account_id=name, channel=self.channel, version=account.version, status="active", worker=worker,
            pace=account.pace, settings=account.settings,
        )  # fmt: skip
        bucket = await self.js.key_value(subjects.bucket("accounts", self.channel))
        await bucket.put(name, wanted.model_dump_json().encode())

    async def queue(self, name: str, count: int) -> None:
        """Publish commands as campaigns does, each acknowledged."""
        account, subject = self.accounts[name], subjects.send(self.channel, name, "bulk")
        answers = []
        for number in range(account.rows, account.rows + count):
            command = _command(name, number, self.recipient(name, number), self.content(number))
            headers = {**cloud_event(command, command.attempt, "campaigns"), tracing.TRACEPARENT: tracing.child()}
            answers.append(await self.pipe.publish(subject, command.model_dump_json().encode(), headers))
        await asyncio.gather(*answers)
        account.rows += count

    def recipient(self, name: str, number: int) -> str:
        """Return whom that message goes to."""
        return f"person-{number}.{name}@practice.test"

    def content(self, number: int) -> Content:
        """Return what it says."""
        return Content(subject=f"Halo {number}", text=TEXT, html=f"<p>{TEXT}</p>")

    async def run(self, name: str, count: int) -> Run:
        """Queue commands, switch the worker on, and return once each has its `sent` in INBOX; then switch it off."""
        await self.queue(name, count)
        before = (await self.js.stream_info("INBOX")).state.messages
        cpu, nats_cpu = cpu_seconds(self.process), cpu_seconds(self.nats)
        began = time.time()
        await self.want(name, worker=True)
        await until(lambda: self._holds("INBOX", before + count))
        ended = await self._last(name)
        await asyncio.sleep(0.2)  # the last acknowledgements of commands are part of the work
        found = Run(
            count / (ended - began),
            (cpu_seconds(self.process) - cpu) / count * 1e6,
            (cpu_seconds(self.nats) - nats_cpu) / count * 1e6,
        )
        await self.want(name, worker=False)
        await until(lambda: self._holds(subjects.commands_stream(self.channel), 0))  # every command acknowledged
        return found

    async def _last(self, name: str) -> float:
        """Return when the last `sent` was stored, by NATS's clock (the same machine's)."""
        subject = subjects.inbox(self.channel, name, "sent")
        answer = await self.nc.request("$JS.API.STREAM.MSG.GET.INBOX", json.dumps({"last_by_subj": subject}).encode())
        text = json.loads(answer.data)["message"]["time"]
        return datetime.fromisoformat(text[:26].rstrip("Z")).replace(tzinfo=UTC).timestamp()

    async def _is_ready(self, name: str) -> bool:
        bucket = await self.js.key_value(subjects.bucket("sessions", self.channel))
        with contextlib.suppress(KeyNotFoundError):
            state = SessionState.model_validate_json((await bucket.get(name)).value or b"")
            return state.status is SessionStatus.READY
        return False

    async def _holds(self, stream: str, messages: int) -> bool:
        held = (await self.js.stream_info(stream)).state.messages
        return held >= messages if messages else not held


async def until(there: Callable[[], Awaitable[bool]]) -> None:
    """Ask twenty times a second: often enough for a figure, too rarely to weigh."""
    async with asyncio.timeout(_SECONDS):
        while not await there():  # noqa: ASYNC110  # another process's doing
            await asyncio.sleep(0.05)


def _command(name: str, number: int, address: str, content: Content) -> SendMessage:
    row, k = row_id("camp_bench", f"{name}.{number}"), number // 500
    return SendMessage(
        id=row, source=OURS, account_id=name, campaign_id="camp_bench", row=row, batch=f"camp_bench.{k + 1}", k=k + 1, number=number,
        not_after=utcnow() + timedelta(hours=1), to=Recipient(address=address, name=f"Person {number}"),
        content=content,
        unsubscribe_url=f"https://kurir.test/u/{number}",
    )  # fmt: skip


def cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU time a process has taken so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


@contextlib.asynccontextmanager
async def channel(
    sync_interval: str = "1s", *, of: Channel = Channel.EMAIL, kind: type[Bench] = Bench, **settings: str
) -> AsyncIterator[Bench]:
    """Run NATS and a channel's service, in a folder of their own; *settings* are the service's variables."""
    with folder() as path:
        server = NatsServer(path / "nats", sync_interval)
        server.start()
        nc = await nats.connect(server.url)
        try:
            js = nc.jetstream()
            await rules.apply(js, topology([of]))
            pipe = Pipe(nc)
            await pipe.start()
            key = generate_key()
            given = {"NATS_URL": server.url, "KURIR_SEALING_KEYS": key, **settings}
            async with _service(of, path, given) as process:
                assert server.process is not None
                yield kind(nc, js, pipe, process, psutil.Process(server.process.pid), server, key, of)
        finally:
            await nc.close()
            server.stop()


@contextlib.asynccontextmanager
async def _service(of: Channel, path: Path, settings: Mapping[str, str]) -> AsyncIterator[psutil.Process]:
    port, prefix = free_port(), f"CHANNEL_{of.name}"
    env = {
        **os.environ, "KURIR_ADDRESS_HMAC_KEYS": "bench", f"{prefix}_PORT": str(port), f"{prefix}_HOST": "127.0.0.1",
        **settings,
    }  # fmt: skip
    with (path / "channel.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", f"channel_{of}.main", env=env, stdout=log, stderr=log
        )
    try:
        async with httpx.AsyncClient() as client:
            await until(lambda: _ready(client, port))
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        await process.wait()


async def _ready(client: httpx.AsyncClient, port: int) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return (await client.get(f"http://127.0.0.1:{port}/readyz")).status_code == 200
    return False
