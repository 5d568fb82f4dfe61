"""What truly arrived: the counts that nobody but the platform keeps."""

import re
from collections import Counter, deque
from dataclasses import asdict, dataclass
from hashlib import sha256
from time import time
from typing import Any

_MESSAGE_ID = re.compile(rb"^message-id:[ \t]*(?:\r\n[ \t]+)?(\S+)", re.IGNORECASE | re.MULTILINE)
KEEP_RECORDS = 250_000


@dataclass(frozen=True, slots=True)
class Received:
    """One accepted message without its content; `at` is in seconds since 1970."""

    n: int
    message_id: str
    mail_from: str
    rcpt_to: tuple[str, ...]
    auth_user: str | None
    connection: int
    at: float
    size: int
    sha256: str

    def as_dict(self) -> dict[str, Any]:
        """Return the record as JSON-ready values."""
        return asdict(self)


def message_id_of(content: bytes) -> str:
    """Return the Message-ID header of raw mail, or an empty string."""
    end = content.find(b"\r\n\r\n")
    found = _MESSAGE_ID.search(content if end < 0 else content[: end + 2])
    return found.group(1).decode("utf-8", "replace") if found else ""


class Archive:
    """Counts of all messages, records of the last 250,000, contents of the last few thousand."""

    def __init__(self, keep_contents: int, keep_content_bytes: int) -> None:
        self._keep_contents, self._keep_bytes = keep_contents, keep_content_bytes
        self.clear()

    def clear(self) -> None:
        """Forget everything, numbers included."""
        self.received = 0
        self.records: deque[Received] = deque(maxlen=KEEP_RECORDS)
        self.ids: Counter[str] = Counter()
        self.by_sender: Counter[str] = Counter()
        self._contents: dict[int, bytes] = {}
        self._content_bytes = 0

    def add(
        self, content: bytes, mail_from: str, rcpt_to: list[str], auth_user: str | None, connection: int
    ) -> Received:
        """Count one accepted message and return its record."""
        self.received += 1
        digest = sha256(content).hexdigest()
        record = Received(
            self.received,
            message_id_of(content),
            mail_from,
            tuple(to.lower() for to in rcpt_to),
            auth_user,
            connection,
            time(),
            len(content),
            digest,
        )
        self.records.append(record)
        self.ids[record.message_id] += 1
        self.by_sender[auth_user or mail_from] += 1
        self._keep(record.n, content)
        return record

    def content(self, n: int) -> bytes | None:
        """Return the raw mail number n, or None when it is no longer kept."""
        return self._contents.get(n)

    def record(self, n: int) -> Received | None:
        """Return the record number n, or None when it is unknown or no longer kept."""
        if not self.records or not self.records[0].n <= n <= self.received:
            return None
        return self.records[n - self.records[0].n]

    def find(self, message_id: str | None, to: str | None, limit: int) -> list[Received]:
        """Return the newest records with this Message-ID and recipient, newest first."""
        found: list[Received] = []
        for record in reversed(self.records):
            if len(found) >= limit:
                break
            if message_id in (None, record.message_id) and (to is None or to.lower() in record.rcpt_to):
                found.append(record)
        return found

    def counts(self) -> dict[str, Any]:
        """Return totals; a duplicate is every copy of a Message-ID beyond its first."""
        distinct = len(self.ids) - ("" in self.ids)
        with_id = self.received - self.ids.get("", 0)
        return {
            "received": self.received,
            "distinct_message_ids": distinct,
            "without_message_id": self.ids.get("", 0),
            "duplicates": with_id - distinct,
            "by_sender": dict(self.by_sender),
        }

    def counts_of(self, message_ids: list[str]) -> dict[str, Any]:
        """Return how often each of these arrived, with totals over the list."""
        by_id = {message_id: self.ids.get(message_id, 0) for message_id in message_ids}
        arrived = sum(1 for count in by_id.values() if count)
        copies = sum(by_id.values())
        return {"counts": by_id, "received": arrived, "copies": copies, "duplicates": copies - arrived}

    def _keep(self, n: int, content: bytes) -> None:
        if not self._keep_contents:
            return
        self._contents[n] = content
        self._content_bytes += len(content)
        while len(self._contents) > self._keep_contents or self._content_bytes > self._keep_bytes:
            oldest = next(iter(self._contents))
            self._content_bytes -= len(self._contents.pop(oldest))
