"""What the chat server took: messages, their copies, and their files."""

import hashlib
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from time import time
from typing import Any


@dataclass(slots=True)
class Message:
    """One arrival: a repeated message id is an arrival of its own. `to` is a phone or a group's id."""

    n: int
    id: str
    sender: str
    to: str
    content: dict[str, Any]
    from_phone: bool = False
    ack: int = 1
    at: float = field(default_factory=time)
    earlier_texts: list[str] = field(default_factory=list)
    revoked: bool = False

    @property
    def text_field(self) -> str:
        """Where its words are: the caption of a file, else the body."""
        return "caption" if self.content.get("filehash") else "body"

    @property
    def text(self) -> str:
        """Its words."""
        return self.content.get(self.text_field) or ""

    def shown(self) -> dict[str, Any]:
        """Return the message as JSON."""
        return {**asdict(self), "text": self.text}


class Archive:
    """All arrivals, counted by message id; files by their hash, the oldest given up first."""

    def __init__(self, keep_media_bytes: int) -> None:
        self._keep_media_bytes = keep_media_bytes
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.messages: list[Message] = []
        self.by_id: dict[str, list[Message]] = {}
        self.sent: Counter[str] = Counter()
        self.recognised = 0
        self._media: dict[str, bytes] = {}
        self._media_bytes = 0

    def add(self, message_id: str, sender: str, to: str, content: dict[str, Any], **more: Any) -> Message:
        """Keep one arrival."""
        message = Message(len(self.messages) + 1, message_id, sender, to, content, **more)
        self.messages.append(message)
        self.by_id.setdefault(message_id, []).append(message)
        if not message.from_phone:
            self.sent[message_id] += 1
        return message

    def first(self, message_id: str) -> Message:
        """Return the first arrival of a message id. Raises KeyError."""
        return self.by_id[message_id][0]

    def find(
        self, *, to: str | None = None, sender: str | None = None, message_id: str | None = None, limit: int = 100
    ) -> list[Message]:
        """Return the newest arrivals, newest first."""
        found: list[Message] = []
        for one in reversed(self.messages):
            if len(found) >= limit:
                break
            if to in (None, one.to) and sender in (None, one.sender) and message_id in (None, one.id):
                found.append(one)
        return found

    def of(self, phone: str, groups: Iterable[str], limit: int) -> list[Message]:
        """Return the newest messages that a phone has, oldest first, copies left out."""
        theirs = {phone, *groups}
        firsts = [copies[0] for copies in self.by_id.values()]
        return [one for one in firsts if one.sender == phone or one.to in theirs][-limit:]

    def counts(self) -> dict[str, Any]:
        """Return totals over what pages sent; a duplicate is every delivered copy of an id beyond its first."""
        received = sum(self.sent.values())
        by_sender = Counter(one.sender for one in self.messages if not one.from_phone)
        return {
            "received": received,
            "distinct_message_ids": len(self.sent),
            "duplicates": received - len(self.sent),
            "recognised": self.recognised,
            "by_sender": dict(by_sender),
        }

    def counts_of(self, message_ids: list[str]) -> dict[str, Any]:
        """Return how often each of these was delivered, with totals over the list."""
        by_id = {one: self.sent.get(one, 0) for one in message_ids}
        received, copies = sum(1 for count in by_id.values() if count), sum(by_id.values())
        return {"counts": by_id, "received": received, "copies": copies, "duplicates": copies - received}

    def put_media(self, data: bytes) -> str:
        """Keep a file and return its hash, as the page names it."""
        filehash = b64encode(hashlib.sha256(data).digest()).decode()
        if filehash not in self._media:
            self._media[filehash] = data
            self._media_bytes += len(data)
        while self._media_bytes > self._keep_media_bytes and len(self._media) > 1:
            self._media_bytes -= len(self._media.pop(next(iter(self._media))))
        return filehash

    def media(self, filehash: str) -> bytes:
        """Return a file. Raises KeyError when unknown or given up."""
        return self._media[filehash]
