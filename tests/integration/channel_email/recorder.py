# ruff: noqa: ARG002, ANN204  # it implements a protocol
"""What stands where the kit would: a host that writes down what it hears, and attempts whose claims are counted."""

import asyncio
from dataclasses import dataclass, field

from channel_email.attachments import AttachmentCache
from channel_email.refusals import Refusals
from channel_email.session import EmailSession
from channelkit.protocol import Credentials, NotClaimed
from contracts.channels import Channel
from contracts.commands import Attachment, SendMessage
from contracts.ids import digest
from contracts.state import DesiredAccount, SessionStatus
from servicekit.errors import Permanent

SENDER = "toko@practice.test"


class Recorder:
    """A Host in memory."""

    def __init__(self, account, password="secret"):
        self.account = DesiredAccount(
            account_id="acc", channel=Channel.EMAIL, version=1, status="active", settings=account.model_dump()
        )
        self.credentials = Credentials({"smtp_password": password})
        self.reports: list[tuple[SessionStatus, str]] = []
        self.events: dict[str, object] = {}
        self.published: list[str] = []
        self.dead: list[tuple[bytes, str]] = []
        self.lines: list[str] = []
        self.positions: dict[str, str] = {}
        self.media: dict[str, bytes] = {}
        self.memos: dict[str, bytes] = {}

    async def report(self, status, reason="", *, challenge=None, identity=""):
        self.reports.append((status, reason))

    def alive(self):
        pass

    async def log(self, kind, text, row=None):
        self.lines.append(text)

    async def publish(self, event, event_id):
        self.published.append(event_id)
        self.events[event_id] = event

    async def dead_letter(self, raw, error, event_id):
        self.dead.append((raw, error))

    async def cursor(self):
        return dict(self.positions)

    async def save_cursor(self, positions):
        self.positions = dict(positions)

    async def remember(self, key, value):
        self.memos[key] = value

    async def recall(self, key):
        return self.memos.get(key)

    async def put_media(self, data, filename, content_type):
        key = digest(data)
        self.media[key] = data
        return Attachment(object=key, filename=filename, content_type=content_type, size=len(data))

    async def get_media(self, key):
        if key not in self.media:
            raise Permanent("attachment_missing", key)
        return self.media[key]

    @property
    def status(self):
        return self.reports[-1][0] if self.reports else None


@dataclass(eq=False)
class Attempt:
    """An Outgoing whose claim may be refused."""

    command: SendMessage
    refuse: bool = False
    claims: int = 0
    parts_done: list[str] = field(default_factory=list)

    async def claim(self):
        self.claims += 1
        if self.refuse:
            raise NotClaimed

    async def part_sent(self, platform_id):
        self.parts_done.append(platform_id)

    def platform_key(self, part=0):
        return f"{self.command.row}.{part}"


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


async def eventually(condition, seconds=15):
    """Wait until the condition holds; fail with what it last returned."""
    for _ in range(int(seconds / 0.05)):
        if found := condition():
            return found
        await asyncio.sleep(0.05)
    raise AssertionError("did not happen in time")
