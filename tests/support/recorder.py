# ruff: noqa: ARG002  # it implements a protocol
"""A Host that keeps what a session gives it in memory and writes down what it hears; each channel's tests add their own."""

from contracts.commands import Attachment
from contracts.ids import digest
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
