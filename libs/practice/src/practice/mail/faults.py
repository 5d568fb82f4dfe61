"""Faults that a test switches on: what a real mail server does on a bad day."""

from collections import Counter
from enum import Enum
from fnmatch import fnmatchcase
from time import monotonic
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from practice.faults import FaultSet


class FaultName(str, Enum):
    """The faults there are."""

    REFUSE_4XX = "refuse_4xx"
    REFUSE_5XX = "refuse_5xx"
    GREYLIST = "greylist_seconds"
    THROTTLE_CONNECTION = "throttle_421_after"
    THROTTLE_ACCOUNT = "throttle_account"
    DROP_AFTER_DATA = "drop_after_data"
    SLOW = "slow_seconds"
    HANG = "accept_and_hang"
    REFUSE_AUTH = "refuse_auth"
    DOWN = "down"


_TAKES_VALUE = {FaultName.GREYLIST, FaultName.THROTTLE_CONNECTION, FaultName.THROTTLE_ACCOUNT, FaultName.SLOW}
_BEFORE_RECIPIENT = {FaultName.THROTTLE_CONNECTION, FaultName.THROTTLE_ACCOUNT, FaultName.REFUSE_AUTH}


class Fault(BaseModel):
    """One fault with its limits; `sender` and `recipient` are patterns such as `*@example.com`."""

    model_config = ConfigDict(extra="forbid")

    value: float = Field(default=0, ge=0, description="seconds, or a number of messages")
    at: Literal["mail", "rcpt", "data"] = Field(default="rcpt", description="data: the answer to the content")
    code: int | None = Field(default=None, ge=400, le=599)
    text: str | None = Field(default=None, max_length=400, pattern=r"^[^\r\n]*$")
    stored: bool = Field(default=False, description="whether a message left without an answer is kept")
    service: Literal["smtp", "imap", "all"] = "smtp"
    sender: str | None = None
    recipient: str | None = None
    times: int | None = Field(default=None, ge=1)
    hits: int = 0
    _first_seen: dict[tuple[str, str], float] = PrivateAttr(default_factory=dict)
    _messages: Counter[str] = PrivateAttr(default_factory=Counter)

    def takes(self, sender: str, recipients: list[str]) -> bool:
        """Whether this fault is for this sender and one of these recipients, and not used up."""
        if self.times is not None and self.hits >= self.times:
            return False
        if self.sender and not fnmatchcase(sender.lower(), self.sender.lower()):
            return False
        return not self.recipient or any(fnmatchcase(to.lower(), self.recipient.lower()) for to in recipients)

    def answer(self, code: int, text: str) -> str:
        """Return the SMTP reply of this fault, by default this code and text."""
        return f"{self.code or code} {self.text if self.text is not None else text}"

    def greylists(self, sender: str, recipient: str) -> bool:
        """Whether this pair was first seen less than `value` seconds ago."""
        now = monotonic()
        return now - self._first_seen.setdefault((sender, recipient), now) < self.value

    def count_message(self, sender: str) -> None:
        """Remember one more accepted message of this sender."""
        self._messages[sender] += 1

    def is_throttled(self, sender: str) -> bool:
        """Whether this sender has used up its `value` messages."""
        return self._messages[sender] >= self.value


class Faults(FaultSet):
    """All faults that are switched on, by name; each may be there several times with other limits."""

    active: dict[FaultName, list[Fault]] = Field(default_factory=dict)

    @classmethod
    def spelled_out(cls, name: str, given: Any) -> Any:
        """A bare number is the fault's value, and `true` the fault without limits."""
        if given is True and name not in {one.value for one in _TAKES_VALUE}:
            return {}
        return {"value": given} if isinstance(given, int | float) and not isinstance(given, bool) else given

    @model_validator(mode="after")
    def _limits_make_sense(self) -> Self:
        for name, fault in ((name, one) for name, faults in self.active.items() for one in faults):
            if fault.recipient and (name in _BEFORE_RECIPIENT or (self._refuses(name) and fault.at == "mail")):
                raise ValueError(f"{name.value} happens before a recipient is known")
            if (fault.sender or fault.recipient) and name is FaultName.DOWN:
                raise ValueError("down happens before a sender is known")
            if name in _TAKES_VALUE and "value" not in fault.model_fields_set:
                raise ValueError(f"{name.value} needs a value")
        return self

    @staticmethod
    def _refuses(name: FaultName) -> bool:
        return name in {FaultName.REFUSE_4XX, FaultName.REFUSE_5XX}

    def matching(self, name: FaultName, sender: str, recipients: list[str]) -> list[Fault]:
        """Return the faults of this name that are for this sender and these recipients."""
        return [one for one in self.active.get(name, ()) if one.takes(sender, recipients)]

    def hit(self, name: FaultName, sender: str = "", recipients: list[str] | None = None) -> Fault | None:
        """Return the first matching fault and count the hit, or None."""
        for fault in self.matching(name, sender, recipients or []):
            fault.hits += 1
            return fault
        return None

    def hit_service(self, name: FaultName, service: Literal["smtp", "imap"], sender: str = "") -> Fault | None:
        """Return the first matching fault of this service and count the hit, or None."""
        for fault in self.matching(name, sender, []):
            if fault.service in {service, "all"}:
                fault.hits += 1
                return fault
        return None

    def refusal(self, at: Literal["mail", "rcpt", "data"], sender: str, recipients: list[str]) -> str | None:
        """Return the reply with which a refusal at this step answers, or None."""
        for name, code, text in (
            (FaultName.REFUSE_4XX, 451, "4.3.0 Try again later"),
            (FaultName.REFUSE_5XX, 550, "5.7.1 Refused"),
        ):
            for fault in self.matching(name, sender, recipients):
                if fault.at == at:
                    fault.hits += 1
                    return fault.answer(code, text)
        return None

    def greylisted(self, sender: str, recipient: str) -> str | None:
        """Return the reply of greylisting while the pair must wait, or None."""
        for fault in self.matching(FaultName.GREYLIST, sender, [recipient]):
            if fault.greylists(sender, recipient):
                fault.hits += 1
                return fault.answer(451, "4.7.1 Greylisted, try again later")
        return None

    def throttled(self, sender: str, on_connection: int) -> str | None:
        """Return the reply to MAIL of a throttled connection or account, or None."""
        for fault in self.matching(FaultName.THROTTLE_CONNECTION, sender, []):
            if on_connection >= fault.value:
                fault.hits += 1
                return fault.answer(421, "4.7.0 Too many messages on this connection")
        for fault in self.matching(FaultName.THROTTLE_ACCOUNT, sender, []):
            if fault.is_throttled(sender):
                fault.hits += 1
                return fault.answer(451, "4.7.0 Too many messages, try again later")
        return None

    def count_message(self, sender: str) -> None:
        """Tell the throttles of accounts that one more message was accepted."""
        for fault in self.active.get(FaultName.THROTTLE_ACCOUNT, ()):
            fault.count_message(sender)
