"""What an account's session is doing, as others see it: the state's key, the state's event, the Logs tab."""

import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Literal

from contracts import subjects
from contracts.channels import Channel
from contracts.events import LogLine, SessionChanged
from contracts.state import Challenge, SessionState, SessionStatus
from servicekit.bus import Bus
from servicekit.clock import boottime, utcnow
from servicekit.errors import KurirError
from servicekit.kv import Bucket
from servicekit.logs import get_logger
from servicekit.secrets import Sealer

from channelkit.journal import Journal
from channelkit.protocol import Shown
from channelkit.showing import Showing

_log = get_logger("channelkit.reporting")
_TEXTS: dict[SessionStatus, tuple[Literal["info", "warning", "error"], str]] = {
    SessionStatus.OFF: ("info", "{channel} is off"),
    SessionStatus.CONNECTING: ("info", "Connecting to {channel}"),
    SessionStatus.AWAITING_QR: ("info", "Please scan QR code"),
    SessionStatus.AWAITING_CODE: ("info", "Please enter the code you were sent"),
    SessionStatus.AWAITING_PASSWORD: ("info", "Please enter the two-step password"),
    SessionStatus.AWAITING_PERSON: ("warning", "Only a person can go on here"),
    SessionStatus.READY: ("info", "{channel} Automation is ready"),
    SessionStatus.DEGRADED: ("warning", "{channel} needs attention"),
    SessionStatus.LOGGED_OUT: ("error", "{channel} is logged out"),
    SessionStatus.FAILED: ("error", "Could not connect to {channel}"),
    SessionStatus.DELETED: ("info", "The account is deleted"),
}


class Reporter:
    """One account's state. Changes are written at once, the rest at most once in *every_seconds*."""

    def __init__(
        self,
        bus: Bus,
        journal: Journal,
        channel: Channel,
        account_id: str,
        replica: str,
        *,
        sealer: Sealer,
        every_seconds: float = 2.0,
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        self._bucket = Bucket(bus, subjects.bucket("sessions", channel), SessionState)
        self._showing = Showing(bus, channel, account_id, sealer)
        self._journal, self._every, self._may_write = journal, every_seconds, may_write
        now = utcnow()
        self.state = SessionState(
            account_id=account_id, channel=channel, status=SessionStatus.OFF, since=now, replica=replica, updated_at=now
        )
        self._written: SessionState | None = None
        self._written_at = 0.0
        self._urgent = False

    async def load(self) -> None:
        """Begin with what the last holder wrote: status, since when, identity, last proof of life."""
        entry = await self._bucket.get(self.state.account_id)
        if entry:
            kept = {"replica": self.state.replica, "in_flight": [], "queue_length": 0}
            self.state = entry.value.model_copy(update=kept)
            self._showing.found(self.state.status)

    def change(
        self,
        status: SessionStatus,
        reason: str = "",
        *,
        challenge: Challenge | None = None,
        identity: str = "",
        shown: Shown | None = None,
    ) -> None:
        """Enter a state: an event, a log line, and a write that does not wait its turn. Raises TooLarge (*shown*)."""
        self._showing.change(status, challenge, shown)
        old, now = self.state, utcnow()
        new: dict[str, object] = {"status": status, "reason": reason, "challenge": challenge}
        if identity:
            new["identity"] = identity
        if status is not old.status:
            new["since"] = now
        if status is SessionStatus.READY:
            new["last_proof_of_life"] = now
        self.state = old.model_copy(update=new)
        self._urgent = self._urgent or shown is not None
        if (status, reason, challenge) != (old.status, old.reason, old.challenge):
            self._urgent = True
            self._announce(now, old)

    def alive(self) -> None:
        """The platform has just answered."""
        self.state = self.state.model_copy(update={"last_proof_of_life": utcnow()})

    def update(self, *, urgent: bool = False, **fields: object) -> None:
        """Set other fields of the state (observed_version, worker, queue_length, …)."""
        if any(getattr(self.state, name) != value for name, value in fields.items()):
            self.state = self.state.model_copy(update=fields)
            self._urgent = self._urgent or urgent

    def log(self, kind: Literal["info", "warning", "error"], text: str, row: str | None = None) -> None:
        """Add a line to the account's Logs tab."""
        state, line_id = self.state, secrets.token_hex(12)
        line = LogLine(
            id=line_id,
            account_id=state.account_id,
            channel=state.channel,
            type=kind,
            text=text[:2000],
            at=utcnow(),
            row=row,
        )
        self._journal.add(subjects.log(state.channel, state.account_id), line, line_id)

    async def flush(self, *, force: bool = False) -> bool:
        """Write the state if it is time; return whether everything is written. Raises nothing."""
        if self._written is self.state:
            return True
        if not (force or self._urgent or boottime() - self._written_at >= self._every) or not self._may_write():
            return False
        self.state = state = self.state.model_copy(update={"updated_at": utcnow()})
        self._urgent, self._written_at = False, boottime()
        try:
            await self._showing.flush()
            await self._bucket.put(state.account_id, state)
        except KurirError as error:
            if self._bucket.bus.connected:  # that it is away the bus says once, and not each account
                _log.warning("state not written", account=state.account_id, error=str(error))
            self._urgent = True
            return False
        self._written = state
        return True

    async def remove(self) -> None:
        """Remove the state of an account that is gone. Raises Unavailable."""
        await self._bucket.delete(self.state.account_id)

    def _announce(self, at: datetime, old: SessionState) -> None:
        state = self.state
        event = SessionChanged(
            account_id=state.account_id,
            channel=state.channel,
            status=state.status,
            reason=state.reason,
            challenge_id=state.challenge.id if state.challenge else None,
            observed_version=state.observed_version,
            at=at,
        )
        self._journal.add(subjects.session(state.channel, state.account_id), event, secrets.token_hex(12))
        if _rotated(old, state):
            return  # a QR code changes every 20 s: the Logs tab says once that it waits
        kind, text = _TEXTS[state.status]
        if state.challenge and state.challenge.kind == "code_to_enter":
            text = "Please enter the code shown into the phone"
        said = text.format(channel="WhatsApp" if state.channel is Channel.WHATSAPP else state.channel.capitalize())
        self.log(kind, f"{said}: {state.reason}" if state.reason else said)


def _rotated(old: SessionState, new: SessionState) -> bool:
    """Return whether only a new QR code took the place of the last one."""
    return (
        (old.status, old.reason) == (new.status, new.reason)
        and new.challenge is not None and old.challenge is not None
        and old.challenge.kind == new.challenge.kind == "qr"
    )  # fmt: skip
