"""An account: what a person wants of it, what its channel last said of it, and the rules between."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from contracts.base import Time
from contracts.channels import Channel
from contracts.state import DesiredAccount, ImportedSession, Pace, SessionState, SessionStatus
from pydantic import BaseModel, ConfigDict, Field
from servicekit.errors import Conflict, StaleVersion

Status = Literal["active", "inactive", "deleting"]


class Dot(StrEnum):
    """The coloured dot of the grid."""

    READY = "ready"
    NEEDS_ATTENTION = "needs_attention"
    OFF = "off"


class LastSession(BaseModel):
    """What the channel last reported, kept for filters."""

    model_config = ConfigDict(frozen=True)

    status: SessionStatus
    reason: str = ""
    at: Time
    fresh: bool = True


class PendingEvent(BaseModel):
    """A domain event stored in the document that changed, until the bus has acknowledged it."""

    model_config = ConfigDict(frozen=True)

    id: str
    subject: str
    name: str = Field(description="The CloudEvents type, so that the relay needs no table of models")
    data: dict[str, Any]


class Account(BaseModel):
    """An account as it is stored; `credentials` are sealed before they get here."""

    model_config = ConfigDict(frozen=True)

    id: str
    order: str = Field(description="Rises with time of creation: the grid shows the newest first")
    name: str
    channel: Channel
    notes: str = ""
    status: Status = "active"
    worker: bool = True
    pace: Pace = Pace()
    settings: dict[str, Any] = Field(default_factory=dict)
    credentials: str | None = None
    credentials_set: list[str] = Field(default_factory=list, description="Names of the credentials, never values")
    version: int = 1
    login_version: int = 1
    session_import: ImportedSession | None = None
    projected_version: int = 0
    request_digest: str | None = Field(default=None, description="Of the request that created it, if it had a key")
    session: LastSession | None = None
    created_at: Time
    updated_at: Time
    deleting_since: Time | None = None
    move_to: str | None = None
    created_by: str = ""

    @property
    def desired(self) -> DesiredAccount:
        """Return what the channel's service is to do."""
        return DesiredAccount(
            account_id=self.id,
            channel=self.channel,
            version=self.version,
            status=self.status,
            worker=self.worker,
            pace=self.pace,
            settings=self.settings,
            credentials=self.credentials,
            login_version=self.login_version,
            session_import=self.session_import,
        )

    def require_editable(self) -> None:
        """Raise Conflict where the account is being deleted."""
        if self.status == "deleting":
            raise Conflict("The account is being deleted.", reason="account_deleting")

    def require_version(self, version: int | None) -> None:
        """Raise StaleVersion unless *version* (None: whatever it is) is the present one."""
        if version is not None and version != self.version:
            raise StaleVersion(self.version)


class Tombstone(BaseModel):
    """What remains of a deleted account."""

    id: str
    channel: Channel
    name: str
    deleted_at: Time


def dot(status: Status, session: SessionStatus | None, *, fresh: bool = True) -> Dot:
    """Return the dot: a session that has not answered lately is not ready, whatever it last said."""
    if status != "active":
        return Dot.OFF
    return Dot.READY if session is SessionStatus.READY and fresh else Dot.NEEDS_ATTENTION


def is_fresh(state: SessionState, now: datetime, proof_seconds: float) -> bool:
    """Return whether the session truly answered within the last *proof_seconds*."""
    proof = state.last_proof_of_life
    return proof is not None and now - proof <= timedelta(seconds=proof_seconds)
