# ruff: noqa: ARG002  # it implements a protocol
"""What stands where the kit would: a host that writes down what it hears, and attempts whose claims are counted.

Each channel's tests add what is their own.
"""

import asyncio
import time
from dataclasses import dataclass, field

from channelkit.protocol import NotClaimed
from contracts.commands import Attachment, SendMessage
from contracts.ids import digest, platform_key
from servicekit.errors import Permanent


class HostRecorder:
    """What `channelkit.protocol.Host` does for inbound events, media and memos, without a bus."""

    def __init__(self) -> None:
        self.events: dict[str, object] = {}
        self.published: list[str] = []
        self.dead: list[tuple[bytes, str]] = []
        self.lines: list[str] = []
        self.positions: dict[str, str] = {}
        self.media: dict[str, bytes] = {}
        self.memos: dict[str, bytes] = {}

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

    async def imported_session(self):
        return None


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
            raise NotClaimed("worker_off")

    async def part_sent(self, platform_id):
        self.parts_done.append(platform_id)

    def platform_key(self, part=0):
        return platform_key(self.command.row, self.command.wanted, part)


@dataclass(eq=False)
class Resumed(Attempt):
    """An attempt whose claim reads from the ledger what an earlier holder sent."""

    before: list[str] = field(default_factory=list)

    async def claim(self):
        await super().claim()
        self.parts_done[:] = self.before


async def eventually(condition, seconds=40, what="it"):
    """Wait until the condition holds (it may be a coroutine function), and return its value."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        await asyncio.sleep(0.03)
    raise AssertionError(f"{what} did not happen in {seconds} s")
