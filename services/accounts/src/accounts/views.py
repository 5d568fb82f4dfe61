"""What routes answer: never a credential, only which are set."""

from datetime import datetime
from typing import Any, Literal

from contracts.channels import Category, Channel
from contracts.requests import TestStep
from contracts.state import Challenge, Pace, SessionState, SessionStatus
from pydantic import BaseModel, Field

from accounts.context import Context
from accounts.domain import Account, Dot, Status, dot

Worker = Literal["on", "off", "stopping"]


class SessionView(BaseModel):
    """The account's login and its lane, as the channel last reported them."""

    account_id: str
    status: SessionStatus
    reason: str = ""
    since: datetime | None = None
    last_proof_of_life: datetime | None = Field(default=None, description="When the session last truly answered")
    fresh: bool = Field(default=False, description="Whether that is recent; `ready` counts only while it is")
    observed_version: int = Field(default=0, description="The version the channel acts on")
    worker: Worker = Field(description="`stopping` until the channel has confirmed that nothing more leaves")
    identity: str = ""
    challenge: Challenge | None = Field(default=None, description="What the platform asks of a person")
    next_send_at: datetime | None = None
    queue_length: int = 0
    sending: int = Field(default=0, description="Messages being sent now")
    restricted_until: datetime | None = None
    restricted_reason: str = ""


class AccountView(BaseModel):
    """An account with its dot and session."""

    id: str
    name: str
    channel: Channel
    category: Category
    notes: str
    active: bool
    status: Status
    dot: Dot = Field(description="The coloured dot of the grid")
    last_proof_of_life: datetime | None
    worker: bool = Field(description="What is wanted of this account; the switch for all may still hold it")
    pace: Pace
    settings: dict[str, Any]
    credentials_set: list[str] = Field(description="Names of the credentials that are kept; their values never leave")
    version: int = Field(description="Also the ETag")
    projected: bool = Field(description="Whether the channel's service can see this version yet")
    created_at: datetime
    updated_at: datetime
    session: SessionView


class TestResult(BaseModel):
    """What a test of settings found, step by step, in the server's own words."""

    __test__ = False
    ok: bool
    error: str | None = None
    detail: str = ""
    steps: list[TestStep] = Field(default_factory=list)


def session_view(account: Account, state: SessionState | None, *, worker_for_all: bool, fresh: bool) -> SessionView:
    """Return the session of an account; `off` where its channel has not reported any."""
    wanted = account.worker and worker_for_all
    if state is None:
        return SessionView(account_id=account.id, status=SessionStatus.OFF, worker="on" if wanted else "off")
    shown = state.model_dump(exclude={"channel", "replica", "in_flight", "worker", "updated_at"})
    worker = _worker(account, state, wanted=wanted)
    return SessionView(**shown, worker=worker, sending=len(state.in_flight), fresh=fresh)


def _worker(account: Account, state: SessionState, *, wanted: bool) -> Worker:
    if state.status in {SessionStatus.OFF, SessionStatus.DELETED}:
        return "on" if wanted else "off"
    if wanted:
        return state.worker
    return "off" if state.worker == "off" and state.observed_version >= account.version else "stopping"


def account_view(ctx: Context, account: Account, *, worker_for_all: bool) -> AccountView:
    """Return an account with what its channel last said."""
    state = ctx.sessions.last(account.channel, account.id)
    fresh = state is not None and ctx.sessions.fresh(state)
    session = session_view(account, state, worker_for_all=worker_for_all, fresh=fresh)
    shown = account.model_dump(include=set(AccountView.model_fields) - {"session", "credentials"})
    return AccountView(
        **shown,
        category=account.channel.category,
        active=account.status == "active",
        dot=dot(account.status, session.status, fresh=fresh),
        last_proof_of_life=session.last_proof_of_life,
        projected=account.projected_version >= account.version,
        session=session,
    )
