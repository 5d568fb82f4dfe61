# ruff: noqa: ARG002, ANN204  # it implements a protocol
"""What stands where the kit would: a host that writes down what it hears, and attempts whose claims are counted."""

from channelkit.protocol import Credentials
from contracts.channels import Channel
from contracts.inbox import Received
from contracts.state import DesiredAccount

from tests.support.recorder import HostRecorder


class Recorder(HostRecorder):
    """A Host in memory: what it keeps outlives the sessions opened with it."""

    def __init__(self, account_id="acc", **settings):
        super().__init__()
        self.account = DesiredAccount(
            account_id=account_id, channel=Channel.WHATSAPP, version=1, status="active", settings=settings
        )
        self.credentials = Credentials()
        self.reports = []
        self.challenge = self.shown = None
        self.identity = ""
        self.vault: list[bytes] = []

    async def report(self, status, reason="", *, challenge=None, identity="", shown=None):
        self.reports.append((status, reason))
        self.challenge, self.shown, self.identity = challenge, shown or self.shown, identity or self.identity

    async def dead_letter(self, raw, error, event_id):
        raise AssertionError(error)

    async def save_session(self, data):
        self.vault.append(data)

    async def load_session(self):
        return self.vault[-1] if self.vault else None

    @property
    def status(self):
        return self.reports[-1][0] if self.reports else None

    def received(self, text=""):
        return [e for e in self.events.values() if isinstance(e, Received) and text in e.text]
