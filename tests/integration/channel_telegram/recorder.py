"""What stands where the kit would: a host that writes down what it hears, and attempts whose claims are counted."""

import time
from datetime import UTC, datetime, timedelta

from channelkit.protocol import Credentials
from contracts.channels import Channel
from contracts.commands import SendMessage
from contracts.inbox import Deleted, Edited, Read, Received
from contracts.state import DesiredAccount

from tests.support.recorder import Attempt, HostRecorder


class Recorder(HostRecorder):
    """A Host in memory; `again()` is the host of the next session, with what lasts."""

    def __init__(self, phone, login_version=1, account_id="acc") -> None:
        super().__init__()
        self.account = DesiredAccount(
            account_id=account_id, channel=Channel.TELEGRAM, version=login_version, status="active",
            settings={"client_id": phone}, login_version=login_version,
        )  # fmt: skip
        self.credentials = Credentials()
        self.vault = None
        self.saves = 0
        self._begin()

    def _begin(self):
        self.reports, self.challenge, self.identity, self.lines = [], None, "", []
        self.events, self.published, self.dead = {}, [], []

    def again(self, **changes):
        """Return a host that knows what the vault, the cursor and the memo know."""
        other = Recorder.__new__(Recorder)
        other.__dict__.update(self.__dict__)
        other.account = self.account.model_copy(update=changes)
        other._begin()
        return other

    async def report(self, status, reason="", *, challenge=None, identity="", shown=None):  # noqa: ARG002
        self.reports.append((str(status), reason))
        self.challenge, self.identity = challenge, identity or self.identity

    async def save_cursor(self, positions):
        await super().save_cursor(positions)
        self.saves += 1

    async def load_session(self):
        return self.vault

    async def save_session(self, data):
        self.vault = data

    @property
    def status(self):
        return self.reports[-1][0] if self.reports else ""

    @property
    def reason(self):
        return self.reports[-1][1] if self.reports else ""

    def of(self, kind):
        """Return the events of a kind, in the order they were published, none twice."""
        return [one for one in self.events.values() if type(one) is kind]

    def texts(self):
        """Return what was written to the account."""
        return [one.text for one in self.of(Received) if not one.own]

    def own(self):
        """Return what the owner wrote from other devices."""
        return [one.text for one in self.of(Received) if one.own]

    edited = property(lambda self: self.of(Edited))
    deleted = property(lambda self: self.of(Deleted))
    read = property(lambda self: self.of(Read))


def attempt(to, text="halo", *, row=None, wanted=0, parts_done=(), refuse=False, **content):
    """Return an attempt of a new row."""
    row = row or f"row{time.time_ns()}"
    command = SendMessage.model_validate({
        "id": row, "source": "campaigns", "account_id": "acc", "row": row, "batch": "camp.1", "wanted": wanted,
        "not_after": datetime.now(UTC) + timedelta(hours=1), "to": {"address": to, "name": "Pelanggan"},
        "content": {"text": text, **content},
    })  # fmt: skip
    return Attempt(command, refuse=refuse, parts_done=list(parts_done))


async def send(session, out):
    """Send as the kit does."""
    return await session.sender().send(out, lambda: None)
