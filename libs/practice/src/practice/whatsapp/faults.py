"""Faults that a test switches on: what the real service, page and browser do on a bad day."""

from enum import Enum
from fnmatch import fnmatchcase
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from practice.faults import FaultSet


class FaultName(str, Enum):
    """The faults there are."""

    REFUSE_SEND = "refuse_send"
    SLOW = "slow_seconds"
    DROP = "drop_message"
    LOSE_ACK = "lose_ack"
    FREEZE_ON_SEND = "freeze_on_send"
    CRASH_ON_SEND = "crash_on_send"
    NOT_FOUND = "not_on_whatsapp"
    MISSING = "missing"
    SCREEN = "screen"


_TAKES_VALUE = {FaultName.SLOW, FaultName.FREEZE_ON_SEND}
_TAKES_NAMES = {FaultName.MISSING}


class Fault(BaseModel):
    """One fault with its limits; `account` and `recipient` are patterns of phone numbers such as `+62811*`."""

    model_config = ConfigDict(extra="forbid")

    value: float = Field(default=0, ge=0, description="seconds")
    at: Literal["before", "after"] = Field(default="after", description="before or after the server took the message")
    result: Literal["ERROR_NETWORK", "ERROR_EXPIRED", "ERROR_CANCELLED", "ERROR_UNKNOWN"] = "ERROR_UNKNOWN"
    names: list[str] = Field(default_factory=list, description="modules or functions that the page lacks")
    show: Literal["passkey", "terms", "unknown"] = "unknown"
    account: str | None = None
    recipient: str | None = None
    times: int | None = Field(default=None, ge=1)
    hits: int = 0

    def takes(self, account: str, recipient: str) -> bool:
        """Whether this fault is for this account and recipient, and not used up."""
        if self.times is not None and self.hits >= self.times:
            return False
        if self.account and not fnmatchcase(account, self.account):
            return False
        return not self.recipient or fnmatchcase(recipient, self.recipient)


class Faults(FaultSet):
    """All faults that are switched on, by name; each may be there several times with other limits."""

    active: dict[FaultName, list[Fault]] = Field(default_factory=dict)

    @classmethod
    def as_list(cls, name: str, given: Any) -> list[Any]:
        """Names of what the page lacks may stand as a bare list."""
        if isinstance(given, list) and name == FaultName.MISSING and all(isinstance(one, str) for one in given):
            return [{"names": given}]
        return super().as_list(name, given)

    @classmethod
    def spelled_out(cls, name: str, given: Any) -> Any:
        """A bare number is seconds, a text a screen or a missing function, `true` a fault without limits."""
        if given is True:
            return {}
        if isinstance(given, str):
            return {"names": [given]} if name == FaultName.MISSING else {"show": given}
        return {"value": given} if isinstance(given, int | float) else given

    @model_validator(mode="after")
    def _values_are_given(self) -> Self:
        for name, fault in ((name, one) for name, faults in self.active.items() for one in faults):
            if name in _TAKES_VALUE and not fault.value:
                raise ValueError(f"{name.value} needs seconds")
            if name in _TAKES_NAMES and not fault.names:
                raise ValueError(f"{name.value} needs names of modules or functions")
        return self

    def hit(self, name: FaultName, account: str = "", recipient: str = "") -> Fault | None:
        """Return the first matching fault and count the hit, or None."""
        for fault in self.active.get(name, ()):
            if fault.takes(account, recipient):
                fault.hits += 1
                return fault
        return None
