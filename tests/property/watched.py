"""The fake channel with a witness: at every message that leaves, it looks whether its replica may send at all."""

from collections.abc import Callable, Sequence
from typing import Any

from channelkit.fake import FakeChannel, FakePlatform, FakeSender
from channelkit.protocol import Host, Outgoing, Session
from channelkit.suite.rig import Replica
from contracts import ids
from contracts.channels import Channel
from contracts.commands import SendMessage
from contracts.state import SessionStatus

_MAY_SEND = (SessionStatus.READY, SessionStatus.DEGRADED)


class WatchedChannel(FakeChannel):
    """One replica's driver; `replica` is set once it is there."""

    def __init__(self, world: "WatchedWorld") -> None:
        super().__init__(world.platform, world.channel)
        self.world = world
        self.replica: Replica | None = None

    async def open(self, host: Host) -> Session:
        """Begin the login."""
        session: Any = await super().open(host)
        account, closing = host.account.account_id, session.close
        state = {"open": True}

        async def close() -> None:
            state["open"] = False
            await closing()

        session.close = close
        session.sender = lambda: _WatchedSender(self, account, state)
        return session


class _WatchedSender(FakeSender):
    def __init__(self, channel: WatchedChannel, account: str, state: dict[str, bool]) -> None:
        super().__init__(channel.platform)
        self._channel, self._account, self._state = channel, account, state

    async def send(self, out: Outgoing, following: Callable[[], Outgoing | None]) -> Sequence[str]:
        """Look around between the claim and the message."""
        claim = out.claim

        async def claim_and_look() -> None:
            await claim()
            self._look(out.command)

        return await super().send(_Claimed(out, claim_and_look), following)

    def _look(self, command: SendMessage) -> None:
        world, replica = self._channel.world, self._channel.replica
        assert replica is not None
        runner = replica.manager.runners.get(self._account)
        status = runner.reporter.state.status if runner else None
        wrong = {
            "its replica does not hold the account": replica.manager.kit.leases.held(self._account) is None,
            "its session is closed": not self._state["open"],
            f"the session is {status}": status not in _MAY_SEND,
            "the account is not wanted": self._account in world.stopped,
        }
        world.wrong += [f"{command.row}: {what}" for what, so in wrong.items() if so]
        world.sends.append(command.row)


class _Claimed:
    """An Outgoing whose claim looks around."""

    def __init__(self, out: Outgoing, claim: Callable[[], Any]) -> None:
        self._out, self.claim = out, claim

    def __getattr__(self, name: str) -> Any:
        return getattr(self._out, name)


class WatchedWorld:
    """The platform as the rig needs it, and what the witness saw."""

    channel = Channel.TELEGRAM

    def __init__(self, code: str | None) -> None:
        self.platform = FakePlatform(code=code)
        self.drivers: list[WatchedChannel] = []
        self.stopped: set[str] = set()
        """Accounts that reported not to send any more, and were not asked to since."""
        self.sends: list[str] = []
        self.wrong: list[str] = []

    def driver(self) -> WatchedChannel:
        """Return the driver of one more replica."""
        self.drivers.append(WatchedChannel(self))
        return self.drivers[-1]

    def settings(self, account_id: str) -> dict[str, Any]:  # noqa: ARG002
        """Return settings that are right."""
        return {"phone": "+628888888888"}

    def credentials(self, account_id: str) -> dict[str, str]:  # noqa: ARG002
        """Return credentials that are right."""
        return {"password": self.platform.password}

    def wrong_login(self, account_id: str) -> dict[str, Any]:  # noqa: ARG002
        """Return credentials the platform refuses."""
        return {"credentials": {"password": "wrong"}}

    async def right_answer(self, account_id: str) -> str | None:  # noqa: ARG002
        """Return the login code."""
        return self.platform.code

    def password(self, account_id: str) -> str | None:  # noqa: ARG002
        """Nobody is asked for a second password here."""
        return None

    async def scan(self, account_id: str) -> None:
        """Nothing is shown to be scanned."""

    def address(self, behaviour: str) -> str:
        """Return a new address; use `to=` for one with a fault."""
        return f"{behaviour}{len(self.platform.faults)}"

    async def copies(self, command: SendMessage) -> int:
        """Return how often the command's message arrived."""
        return self.platform.copies(ids.platform_key(command.row, command.wanted, 0))

    async def write_to(self, account_id: str, text: str) -> None:
        """Let somebody write to an account."""
        await self.platform.write_to(account_id, "customer", text)
