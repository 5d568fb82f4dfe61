"""Values in key-value buckets: desired state, sessions, leases, ledger, lanes, cursors, suppressions."""

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from contracts.base import Id, Time, Value
from contracts.channels import Channel

ALL = "_all"
"""The key in `accounts_<channel>` that holds the worker switch for all."""


class SessionStatus(StrEnum):
    """The one login state machine of every channel (product spec 1); `deleted` ends it."""

    OFF = "off"
    CONNECTING = "connecting"
    AWAITING_QR = "awaiting_qr"
    AWAITING_CODE = "awaiting_code"
    AWAITING_PASSWORD = "awaiting_password"  # noqa: S105  # a state's name
    AWAITING_PERSON = "awaiting_person"
    READY = "ready"
    DEGRADED = "degraded"
    LOGGED_OUT = "logged_out"
    FAILED = "failed"
    DELETED = "deleted"


class QuietHours(Value):
    """No bulk sending between `start` and `end` (may pass midnight), in `time_zone`."""

    start: str = Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    end: str = Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    time_zone: str = "Asia/Jakarta"


class WarmUp(Value):
    """A daily cap that grows: day n may send `first_day` * `growth` ** n, until the daily cap is reached."""

    first_day: int = Field(ge=1)
    growth: float = Field(default=1.5, gt=1, le=10)


class Pace(Value):
    """How fast an account sends in bulk. Either a random pause, or a rate; replies are not held by it."""

    min_pause_seconds: float = Field(default=0, ge=0, le=86_400)
    max_pause_seconds: float = Field(default=0, ge=0, le=86_400)
    per_second: float | None = Field(default=None, gt=0, le=10_000, description="Messages per second; none: no limit")
    connections: int = Field(
        default=4,
        ge=1,
        le=50,
        description="E-mail: SMTP connections; Telegram: messages on their way at once, to different people",
    )
    daily_cap: int | None = Field(default=None, ge=1)
    quiet_hours: QuietHours | None = None
    warm_up: WarmUp | None = None


class ImportedSession(Value):
    """A session that a person logged in on their own computer and uploaded; it lies sealed in `vault`."""

    id: str
    object: str = Field(description="In `vault`; sealed for the channel, context = import/<account_id>/<id>")
    login_version: int = Field(ge=1, description="A session saved at this login version or later has replaced it")


class DesiredAccount(Value):
    """`accounts_<channel>` / `<account_id>`: what a person wants of the account."""

    account_id: Id
    channel: Channel
    version: int = Field(ge=1)
    status: Literal["active", "inactive", "deleting"]
    worker: bool = True
    pace: Pace = Pace()
    settings: dict[str, Any] = Field(default_factory=dict)
    credentials: str | None = Field(default=None, description="JSON sealed for the channel, context = account_id")
    login_version: int = Field(default=1, description="The version at which credentials or connection last changed")
    session_import: ImportedSession | None = None


class WorkerSwitch(Value):
    """`accounts_<channel>` / `_all`."""

    worker: bool
    version: int = 1


class Challenge(Value):
    """What the platform asks of the person. QR texts and screenshots lie sealed beside it, never in it."""

    id: str
    kind: Literal["qr", "code_to_enter", "code", "password", "person"] = Field(
        description="`code_to_enter`: a code that is shown and typed into the phone; `code`: one the person was sent"
    )
    hint: str = ""
    expires_at: Time | None = None
    resend_after: Time | None = None


class ShownChallenge(Value):
    """`sessions_<channel>` / `<account_id>.shown`: what a person has to see to go on; leaves by key TTL."""

    challenge_id: str = ""
    kind: Literal["qr", "code_to_enter", "image/png"]
    sealed: str = Field(description="QR text, code or PNG, sealed for the channel, context = shown/<account_id>")
    expires_at: Time


class SessionState(Value):
    """`sessions_<channel>` / `<account_id>`: what the holder last saw."""

    account_id: Id
    channel: Channel
    status: SessionStatus
    reason: str = ""
    since: Time
    last_proof_of_life: Time | None = None
    observed_version: int = 0
    worker: Literal["on", "off", "stopping"] = "on"
    replica: str = ""
    identity: str = ""
    challenge: Challenge | None = None
    next_send_at: Time | None = None
    queue_length: int = 0
    in_flight: list[str] = Field(default_factory=list, description="Attempts being sent now, at most 200")
    restricted_until: Time | None = None
    restricted_reason: str = ""
    refused_import: str = Field(default="", description="The last imported session that was none, by its id")
    updated_at: Time


class Heartbeat(Value):
    """`members_<channel>` / `<replica>`; expires 15 s after the last renewal."""

    replica: Id
    started_at: Time
    max_sessions: int
    sessions: int = 0


class Lease(Value):
    """`leases_<channel>` / `<account_id>`: who may act for the account; the epoch rises with each holder."""

    replica: Id
    epoch: int
    since: Time


class LedgerEntry(Value):
    """`ledger_<channel>` / `<account>.<batch>.<row>`: what became of one attempt (architecture 3.6)."""

    state: Literal["claimed", "released", "sent", "failed", "unknown", "cancelled"]
    token: str | None = None
    parts_done: list[str] = Field(default_factory=list, description="Platform ids of the bubbles sent so far")
    cancel: str | None = Field(default=None, description="A canceller's wish on a claimed attempt: its reason")
    tries: int = 0
    not_before: Time | None = None
    platform_ids: list[str] = Field(default_factory=list)
    reason: str = ""
    detail: str = ""
    at: Time

    @property
    def is_end(self) -> bool:
        """Return whether nothing more will happen to the attempt."""
        return self.state in {"sent", "failed", "unknown", "cancelled"}


class LaneState(Value):
    """`lanes_<channel>` / `<account_id>`: what a lane must not forget."""

    epoch: int = 0
    day: str = Field(default="", description="The day the cap counts for, YYYY-MM-DD in the pace's time zone")
    cap_used: int = Field(default=0, description="Reserved in blocks before sending: a crash wastes, never exceeds")
    last_send_at: Time | None = None
    warm_up_since: str = ""
    restricted_until: Time | None = None
    restricted_reason: str = ""


class CursorState(Value):
    """`cursors_<channel>` / `<account_id>`: how far inbound messages were read, per folder or chat."""

    epoch: int = 0
    positions: dict[str, str] = Field(default_factory=dict)


class VaultPointer(Value):
    """`cursors_<channel>` / `<account_id>.vault`: which sealed object of `vault` is the account's session."""

    object: str
    at: Time
    login_version: int = Field(default=0, description="Of the desired state its session was opened for")


class Memo(Value):
    """`cursors_<channel>` / `<account_id>.memo.<key>`: a small lasting fact of an account, such as a peer's access hash."""

    sealed: str = Field(description="Sealed with the channel's key; the sealed text names account and key")
    at: Time


class SuppressionEntry(Value):
    """`suppressions` / `<channel>.<HMAC of address>`."""

    reason: Literal["unsubscribed", "bounced", "complained", "blocked", "manual"]
    at: Time

    def forbids(self, kind: str) -> bool:
        """Return whether a message of this kind may not go: a person may still answer who unsubscribed (spec 2)."""
        return kind in {"campaign", "automation"} or self.reason in {"blocked", "bounced"}


class StoreMark(Value):
    """`marks` / `<channel>`: how often campaigns' store has been marked; one that counts less was restored."""

    times: int
