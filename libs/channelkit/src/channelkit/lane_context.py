"""What a lane is given, and what it says of itself."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from contracts.channels import Channel
from contracts.state import DesiredAccount
from servicekit.bus import Bus
from servicekit.clock import Clock, SystemClock

from channelkit.protocol import Capabilities, Host, Session
from channelkit.suppressions import Suppressions


@dataclass(frozen=True)
class LaneSettings:
    """How a lane behaves; times are in seconds."""

    send_timeout_seconds: float | None = None
    """None: the channel's own (`Capabilities.send_timeout_seconds`)."""
    tries_limit: int = 5
    """Refusals of a row, those of its earlier attempts included, before it is `failed`."""
    local_retry_seconds: float = 60.0
    """The longest a lane keeps a refused message to itself; a longer wait ends the attempt."""
    ack_wait_seconds: float | None = None
    """None: the send timeout. What a dead holder had pulled and not claimed comes again after it."""
    window: int = 512
    """Messages pulled and not yet acknowledged, at most."""
    max_ack_pending: int = 2_000


@dataclass(frozen=True)
class LaneContext:
    """Everything one account's lane needs. The callables are asked before every claim: they must be quick."""

    bus: Bus
    channel: Channel
    account_id: str
    desired: Callable[[], DesiredAccount]
    worker_on: Callable[[], bool]
    """The account's own switch and the one for all."""
    lease_epoch: Callable[[], int | None]
    """None: the lease is not ours (any more)."""
    fresh: Callable[[], bool]
    """False while a watch is behind: what this replica believes may be old."""
    session: Session
    capabilities: Capabilities
    host: Host
    suppressions: Suppressions
    settings: LaneSettings = field(default_factory=LaneSettings)
    starts_at: float = 0.0
    """Boottime before which nothing may leave: an heir waits for what its predecessor has out."""
    clock: Clock = field(default_factory=SystemClock)

    @property
    def send_timeout_seconds(self) -> float:
        """Return the longest a send may take."""
        return self.settings.send_timeout_seconds or self.capabilities.send_timeout_seconds

    @property
    def ack_wait_seconds(self) -> float:
        """Return how long a delivery may stay without a sign of life."""
        return self.settings.ack_wait_seconds or max(5.0, self.send_timeout_seconds)


@dataclass(frozen=True)
class LaneStatus:
    """What `sessions_<channel>` shows of a lane."""

    next_send_at: datetime | None = None
    queue_length: int = 0
    """Commands that wait, those pulled and not sent included."""
    in_flight: list[str] = field(default_factory=list)
    """Attempts being sent now, at most 200."""
    restricted_until: datetime | None = None
    restricted_reason: str = ""
    worker: Literal["on", "off", "stopping"] = "on"
    waits_for: str = ""
    """Why nothing leaves, such as `worker_off`, `stale`, `quiet_hours`, `daily_cap`; empty: nothing holds it."""
