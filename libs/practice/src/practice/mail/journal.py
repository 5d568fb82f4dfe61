"""What happened on the wire: connections and breaches of the protocol."""

from collections import deque
from dataclasses import asdict, dataclass, field
from time import time
from typing import Any

KEEP = 10_000


@dataclass(slots=True)
class Connection:
    """One SMTP connection; times are in seconds since 1970."""

    n: int
    peer: str
    opened_at: float
    closed_at: float | None = None
    tls: bool = False
    user: str | None = None
    messages: int = 0

    def close(self) -> None:
        """Note when it ended."""
        self.closed_at = time()


@dataclass(frozen=True, slots=True)
class Violation:
    """One breach of the protocol."""

    kind: str
    connection: int
    user: str | None
    at: float


@dataclass(slots=True)
class Journal:
    """The last 10,000 connections and violations, and how many there were."""

    connections: deque[Connection] = field(default_factory=lambda: deque(maxlen=KEEP))
    violations: deque[Violation] = field(default_factory=lambda: deque(maxlen=KEEP))
    opened: int = 0
    violated: int = 0

    def open(self, peer: str) -> Connection:
        """Note a new connection."""
        self.opened += 1
        connection = Connection(self.opened, peer, time())
        self.connections.append(connection)
        return connection

    def violate(self, kind: str, connection: Connection) -> None:
        """Note a breach."""
        self.violated += 1
        self.violations.append(Violation(kind, connection.n, connection.user, time()))

    def clear(self) -> None:
        """Forget all but the connections still open."""
        still_open = [one for one in self.connections if one.closed_at is None]
        self.connections.clear()
        self.connections.extend(still_open)
        self.violations.clear()
        self.violated = 0

    def deliveries(self) -> dict[str, Any]:
        """Return the connections, oldest first, as JSON-ready values."""
        return {"opened": self.opened, "connections": [asdict(one) for one in self.connections]}
