"""One channel of a process: shares the accounts with the other replicas and reconciles those it holds."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from contracts import subjects
from contracts.channels import Channel
from contracts.state import Lease
from servicekit import tasks
from servicekit.bus import Bus
from servicekit.errors import KurirError
from servicekit.kv import BucketWatch
from servicekit.logs import get_logger

from channelkit.account import AccountRunner
from channelkit.desired import Desired
from channelkit.freshness import Freshness
from channelkit.kit import make_kit
from channelkit.leases import Leases
from channelkit.members import Members
from channelkit.protocol import ChannelDriver
from channelkit.requests import serve_tests
from channelkit.settings import ChannelSettings
from channelkit.sweeper import Sweeper

_log = get_logger("channelkit.manager")
_FLUSH_SECONDS = 2.0
_REPORT_TICK_SECONDS = 0.5


class ChannelManager:
    """Call `start` once the bus is there and `stop` before it goes; between them it looks after itself."""

    def __init__(self, bus: Bus, channel: Channel, driver: ChannelDriver, settings: ChannelSettings) -> None:
        self.channel, self._settings = channel, settings
        self.runners: dict[str, AccountRunner] = {}
        members = Members(bus, channel, settings)
        leases = Leases(bus, channel, members)
        desired = Desired(bus, channel, self._changed)
        self._lease_watch = BucketWatch(bus, subjects.bucket("leases", channel), Lease, leases.seen)
        freshness = Freshness([desired.watch], settings.behind_seconds)
        self.kit = make_kit(
            bus, channel, driver, settings, members=members, leases=leases, desired=desired, freshness=freshness
        )
        self._sweeper = Sweeper(self.kit)
        self._settled: dict[str, int] = {}
        """Version at which nothing is left to do for an account that is off or deleted."""
        self._tasks: list[asyncio.Task[None]] = []
        self._leaving: set[asyncio.Task[None]] = set()
        self._look_now = asyncio.Event()
        self._stopping = False

    async def start(self) -> None:
        """Join the replicas of the channel and begin, in the background. Raises Unavailable while NATS is away."""
        if self._tasks:
            return  # start-up hooks are tried again from the first when one of them fails
        await self.kit.bus.wait_connected()
        await serve_tests(self.kit.bus, self.kit.driver, self.channel, self.kit.sealer)
        every = self._settings
        self._tasks = [
            self._spawn(self.kit.desired.watch.run()),
            self._spawn(self._lease_watch.run()),
            self._spawn(self.kit.journal.run()),
            self._spawn(self._each(every.heartbeat_every_seconds, self._beat)),
            self._spawn(self._each(1.0, self.kit.freshness.check)),
            self._spawn(self._each(min(_REPORT_TICK_SECONDS, every.report_seconds), self._report)),
            self._spawn(self._each(every.sweep_seconds, self._sweeper.sweep)),
            self._spawn(self._share_for_ever()),
        ]

    def stop_pulling(self) -> None:
        """Stop every lane's pulling and claiming at once (SIGTERM); `stop` follows."""
        self._stopping = True
        self.kit.desired.stop_workers()
        for runner in self.runners.values():
            runner.wake()

    async def stop(self) -> None:
        """Wait for what is out (at most a send timeout), close the sessions, give the leases back, leave."""
        self.stop_pulling()
        await asyncio.gather(*(self._hand_over(r) for r in list(self.runners.values())), *self._leaving)
        await self.kit.journal.flush(_FLUSH_SECONDS)
        await tasks.end(self._tasks)
        try:
            await self._sweeper.leave()
            await self.kit.members.leave()
        except KurirError as error:
            _log.warning("left without saying so", channel=str(self.channel), error=str(error))

    async def _beat(self) -> None:
        await self.kit.members.beat(len(self.runners))

    async def _share_for_ever(self) -> None:
        await asyncio.gather(self.kit.desired.watch.ready.wait(), self._lease_watch.ready.wait())
        while True:
            self._look_now.clear()
            await _survive(self._share)
            try:
                await asyncio.wait_for(self._look_now.wait(), self._settings.lease_look_seconds)
            except TimeoutError:
                continue

    async def _share(self) -> None:
        """Look who lives, take one's share, hand over the surplus, end runners that are done."""
        kit, leases = self.kit, self.kit.leases
        await kit.members.look()
        await leases.affirm()
        if self._stopping:
            return
        self._bury()
        wanted = [d.account_id for d in kit.desired.all() if self._settled.get(d.account_id) != d.version]
        for account_id in await leases.acquire(wanted):
            self._begin(account_id)
        for account_id in leases.accounts():
            if account_id in self.runners:
                continue
            if account_id not in wanted:
                await leases.release(account_id)
            elif leases.held(account_id) is not None:  # else a runner would only step back again
                self._begin(account_id)
        for account_id in leases.too_many(set(wanted)):
            self._spawn_leaving(self.runners[account_id])

    def _begin(self, account_id: str) -> None:
        if account_id not in self.runners and not self._stopping:
            self.runners[account_id] = runner = AccountRunner(self.kit, account_id)
            runner.start()

    def _bury(self) -> None:
        """Remove runners that are done; what they settled is left alone until its version changes."""
        for account_id, runner in list(self.runners.items()):
            if not runner.ended:
                continue
            del self.runners[account_id]
            if runner.view.ended:
                self._settled[account_id] = runner.view.version

    def _spawn_leaving(self, runner: AccountRunner) -> None:
        if runner.leaving:
            return
        runner.leaving = True
        task = asyncio.create_task(self._hand_over(runner), name=f"hand over {runner.account_id}")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _hand_over(self, runner: AccountRunner) -> None:
        await runner.stop()
        await self.kit.leases.release(runner.account_id)
        if self.runners.get(runner.account_id) is runner:  # not one begun meanwhile
            del self.runners[runner.account_id]

    async def _report(self) -> None:
        for runner in list(self.runners.values()):
            if not self._stopping:  # the switch is off for this process only
                runner.refresh()
            await runner.reporter.flush()

    def _changed(self, account_id: str | None) -> None:
        if account_id and self.kit.desired.get(account_id) is None:
            self._settled.pop(account_id, None)
        mine = list(self.runners.values()) if account_id is None else [self.runners.get(account_id)]
        for runner in mine:
            if runner:
                runner.wake()
            else:
                self._look_now.set()

    async def _each(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await _survive(work)
            await asyncio.sleep(seconds)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return asyncio.create_task(work, name=f"{self.channel} kit")


async def _survive(work: Callable[[], Awaitable[None]]) -> None:
    try:
        await work()
    except KurirError as error:
        _log.warning("tried again soon", what=getattr(work, "__qualname__", "?"), error=str(error))
    except Exception as error:
        _log.error("failed, going on", what=getattr(work, "__qualname__", "?"), exc_info=error)
