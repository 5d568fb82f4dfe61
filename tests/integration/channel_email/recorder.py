# ruff: noqa: ARG002, ANN204  # it implements a protocol
"""What stands where the kit would: a host that writes down what it hears, and attempts whose claims are counted."""

from channel_email.attachments import AttachmentCache
from channel_email.refusals import Refusals
from channel_email.session import EmailSession
from channelkit.protocol import Credentials
from contracts.channels import Channel
from contracts.state import DesiredAccount, SessionStatus

from tests.support.recorder import HostRecorder

SENDER = "toko@practice.test"


class Recorder(HostRecorder):
    """A Host in memory."""

    def __init__(self, account, password="secret"):
        super().__init__()
        self.account = DesiredAccount(
            account_id="acc", channel=Channel.EMAIL, version=1, status="active", settings=account.model_dump()
        )
        self.credentials = Credentials({"smtp_password": password})
        self.reports: list[tuple[SessionStatus, str]] = []

    async def report(self, status, reason="", *, challenge=None, identity=""):
        self.reports.append((status, reason))

    @property
    def status(self):
        return self.reports[-1][0] if self.reports else None


def open_session(host, settings, account):
    """Return a session that has not begun to connect."""
    return EmailSession(
        host, settings, account, cache=AttachmentCache(10_000_000), refusals=Refusals(), send_timeout=10.0
    )


async def send_all(sender, attempts):
    """Send one after the other, each next one reserved as the kit does; return ids or errors by row."""
    queue, outcomes = list(attempts), {}
    reserved = None

    def following():
        nonlocal reserved
        reserved = reserved or (queue.pop(0) if queue else None)
        return reserved

    while (current := following()) is not None:
        reserved = None
        try:
            outcomes[current.command.row] = await sender.send(current, following)
        except Exception as error:
            outcomes[current.command.row] = error
    return outcomes
