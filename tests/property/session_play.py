"""What happens to the sessions of two accounts over one to three replicas, and where it must all end."""

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from channelkit.fake import unknown_outcome
from channelkit.protocol import NeedsLogin, Restricted
from channelkit.suite.rig import Replica, Rig
from contracts import subjects
from contracts.commands import SendMessage
from contracts.state import Lease, SessionState, SessionStatus
from servicekit import logs
from servicekit.clock import utcnow
from servicekit.errors import Permanent, Retry
from servicekit.kv import Bucket

from tests.property.watched import WatchedWorld

S = SessionStatus
QUICK = {
    "heartbeat_ttl_seconds": 2, "heartbeat_every_seconds": 0.3, "lease_look_seconds": 0.1, "probe_seconds": 0.2,
    "probe_timeout_seconds": 0.5, "report_seconds": 0.05, "sweep_seconds": 0.5, "first_backoff_seconds": 0.05,
    "shutdown_grace_seconds": 2.0,
}  # fmt: skip
MOST_REPLICAS = 3
AGAIN = ("later", "logged out", "restricted")
"""What the platform says when a message may come again."""
_ends = ("sent", "failed", "unknown", "cancelled")
_numbers = itertools.count()


def fault(name: str) -> Exception | None:
    """Return what the platform answers to a message."""
    made: dict[str, Callable[[], Exception]] = {
        "refused": lambda: Permanent("blocked", "USER_IS_BLOCKED"),
        "later": lambda: Retry(0.1, "SLOWMODE_WAIT"),
        "no answer": unknown_outcome,
        "logged out": lambda: NeedsLogin("SESSION_REVOKED"),
        "restricted": lambda: Restricted(utcnow() + timedelta(seconds=0.3), "PEER_FLOOD"),
    }
    return made[name]() if name in made else None


class SessionPlay:
    """Two accounts of one platform; whatever is wanted of them last is what must become of them."""

    def __init__(self, nats_url: str, *, code: bool) -> None:
        self.world = WatchedWorld("12345" if code else None)
        self.rig = Rig(nats_url, self.world, **QUICK)
        self.rig.settings = self.rig.settings.model_copy(update={"send_timeout_seconds": 0.3})
        logs.configure(self.rig.settings)  # a traceback for people takes a second: longer than a lease may wait
        self.accounts = [f"s{next(_numbers)}" for _ in range(2)]
        self.commands: list[SendMessage] = []
        self.again: set[str] = set()
        """Rows whose message the platform refuses for a while: their lane tries again."""
        self.cut: list[Replica] = []

    async def open(self, replicas: int) -> None:
        """Begin with some replicas, and both accounts wanted."""
        await self.rig.open()
        for _ in range(replicas):
            await self.join()
        for which in range(2):
            await self.want(which, status="active")

    # replicas and leases

    async def join(self) -> None:
        """Start a replica."""
        if len(self.rig.replicas) < MOST_REPLICAS:
            made = await self.rig.replica()
            self.world.drivers[-1].replica = made

    async def leave(self, which: int) -> None:
        """End one as SIGTERM does."""
        if self.rig.replicas:
            await self.rig.drop(self.rig.replicas[which % len(self.rig.replicas)])

    async def is_cut(self, which: int) -> None:
        """Cut one off: it lives, and reaches nobody for ever."""
        if self.rig.replicas:
            lost = self.rig.replicas.pop(which % len(self.rig.replicas))
            self.cut.append(lost)
            await lost.cut()

    async def lease_taken(self, which: int) -> None:
        """Let a replica that nobody ever sees again have taken the account's lease."""
        account = self.accounts[which % 2]
        leases = Bucket(self.rig.bus, subjects.bucket("leases", self.world.channel), Lease)
        if found := await leases.get(account):
            stolen = Lease(replica="ghost", epoch=found.value.epoch + 1, since=utcnow())
            with contextlib.suppress(Exception):  # its holder may write at the same moment
                await leases.update(account, stolen, found.revision)

    # what people want

    async def want(self, which: int, **changes: Any) -> None:
        """Want something of an account that is not being deleted."""
        account = self.accounts[which % 2]
        if not self._wants(account, "deleting"):
            self.world.stopped.discard(account)
            await self.rig.want(account, **changes)

    async def switch_all(self, *, worker: bool) -> None:
        """Turn the worker switch for all."""
        if worker:
            self.world.stopped.clear()
        await self.rig.switch_all(worker=worker)

    def _wants(self, account: str, status: str) -> bool:
        known = account in self.rig._versions
        return known and self.rig.last_wanted(account).status == status

    async def answer(self, which: int, text: str, *, stale: bool) -> None:
        """Answer a challenge, if there is one; to another challenge, if *stale*."""
        account = self.accounts[which % 2]
        state = await self.rig.state(account)
        if state and state.challenge:
            with contextlib.suppress(Exception):  # nobody may hold the session right now
                await self.rig.answer(account, "older" if stale else state.challenge.id, text)

    async def send(self, which: int, how: str) -> None:
        """Have a message sent, and the platform answer so."""
        account = self.accounts[which % 2]
        if not self._wants(account, "active") and not self._wants(account, "inactive"):
            return
        address = f"to{next(_numbers)}"
        if found := fault(how):
            self.world.platform.faults[address].append(found)
        command = self.rig.command(account, to=address)
        self.commands.append(command)
        self.again |= {command.row} if how in AGAIN else set()
        await self.rig.send(command)

    # what must become of it

    def check(self) -> None:
        """Fail where something left that may not leave."""
        assert not self.world.wrong, self.world.wrong
        for command in self.commands:
            most = 2 if command.row in self.again else 1
            assert self.world.sends.count(command.row) <= most, f"{command.row} left more often than it may"

    async def settled(self, which: int) -> None:
        """Wait until an account is as it is wanted; one that may not send is then watched."""
        account = self.accounts[which % 2]
        if account not in self.rig._versions or not self.rig.replicas:
            return
        wanted = self.rig.last_wanted(account)
        state = await self._reached(account, self._expected(account))
        if wanted.status != "active" or (state.worker != "stopping" and not wanted.worker):
            self.world.stopped.add(account)
            await self.send(which, "taken")
            await asyncio.sleep(0.1)  # it has time enough to go wrong

    def _expected(self, account: str) -> set[SessionStatus]:
        match self.rig.last_wanted(account).status:
            case "inactive":
                return {S.OFF}
            case "deleting":
                return {S.DELETED}
        return {S.READY, S.DEGRADED, S.LOGGED_OUT, S.FAILED, S.AWAITING_CODE}

    async def _reached(self, account: str, statuses: set[SessionStatus]) -> SessionState:
        found: list[SessionState | None] = [None]

        async def there() -> bool:
            found[0] = state = await self.rig.state(account)
            version = self.rig.last_wanted(account).version
            return bool(state and state.status in statuses and state.observed_version == version)

        await becomes(there, lambda: f"{account} to become one of {sorted(statuses)}; it is {found[0]}")
        assert found[0] is not None
        return found[0]

    async def end_of_play(self) -> None:
        """Heal the platform, want both ready, see every command end; then delete both, and see everything go."""
        platform = self.world.platform
        platform.silent = platform.unreachable = False
        await self.rig.switch_all(worker=True)
        if not self.rig.replicas:
            await self.join()
        for account in self.accounts:
            if not self._wants(account, "deleting"):
                self.world.stopped.discard(account)
                await self.rig.want(account, status="active", worker=True, credentials=self.world.credentials(account))
                await self._ready(account)
        for command in self.commands:
            await becomes(lambda c=command: self._ended(c), lambda c=command: f"an end of {c.row} of {c.account_id}")
            assert await self.world.copies(command) <= 1
        self.check()
        for account in self.accounts:
            await self._deleted(account)
        self.check()

    async def _ready(self, account: str) -> None:
        async def ready() -> bool:
            state = await self.rig.state(account)
            if state and state.status is S.LOGGED_OUT:  # a person logs in again, as often as the platform wants it
                await self.rig.want(account, new_login=True)
            if state and state.challenge and self.world.platform.code:
                with contextlib.suppress(Exception):
                    await self.rig.answer(account, state.challenge.id, self.world.platform.code)
            return bool(state and state.status is S.READY and await self._only_one_session(account))

        await becomes(ready, lambda: f"{account} to be ready, once: {self.world.platform.open_sessions}")

    async def _only_one_session(self, account: str) -> bool:
        return self.world.platform.open_sessions[account] == 1

    async def _ended(self, command: SendMessage) -> bool:
        state = await self.rig.state(command.account_id)
        if state and state.status is S.LOGGED_OUT and not self._wants(command.account_id, "deleting"):
            await self.rig.want(command.account_id, new_login=True)
        if state and state.status is S.AWAITING_CODE:
            await self._ready(command.account_id)
        return any(what in _ends for what, _ in await self.rig.ends(command))

    async def _deleted(self, account: str) -> None:
        if not self._wants(account, "deleting"):
            await self.rig.want(account, status="deleting")
        await self._reached(account, {S.DELETED})
        self.world.stopped.add(account)
        assert self.world.platform.open_sessions[account] == 0 or self.cut
        await self.rig.vanish(account)

        async def gone() -> bool:
            keys = [k for kind in ("sessions", "lanes", "cursors", "leases") for k in await self.rig.keys(kind)]
            return account not in keys and await self.rig.waiting(account) == 0

        await becomes(gone, lambda: f"every trace of {account} to go")

    async def close(self) -> None:
        """Stop what is left; what was cut off cannot say goodbye."""
        for replica in self.cut:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(replica.stop(), 10)
        await self.rig.close()


async def becomes(ask: Callable[[], Awaitable[bool]], what: Callable[[], str], seconds: float = 20) -> None:
    """Ask until it is so. Raises AssertionError after *seconds*, naming what was waited for."""
    end = asyncio.get_running_loop().time() + seconds
    while not await ask():
        assert asyncio.get_running_loop().time() < end, f"waited {seconds:g} s for {what()}"
        await asyncio.sleep(0.03)
