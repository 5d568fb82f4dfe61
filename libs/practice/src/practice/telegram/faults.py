"""Faults that a test switches on: what Telegram and the way to it do on a bad day."""

from enum import Enum
from fnmatch import fnmatchcase
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from practice.faults import FaultSet


class FaultName(str, Enum):
    """The faults there are."""

    REFUSE = "refuse"
    HANG = "hang"
    DROP = "drop"
    SLOW = "slow_seconds"
    DOWN = "down"


class Fault(BaseModel):
    """One fault with its limits; `method`, `account` and `recipient` are patterns (`messages.send*`, `+62811*`)."""

    model_config = ConfigDict(extra="forbid")

    value: float = Field(default=0, ge=0, description="seconds")
    error: str = Field(default="FLOOD_WAIT_3", pattern=r"^[A-Za-z0-9_ ]{1,64}$")
    code: int = Field(default=0, ge=-503, le=599, description="0: what belongs to the error")
    stored: bool = Field(default=False, description="whether the call is carried out all the same")
    method: str = "*"
    account: str | None = None
    recipient: str | None = None
    times: int | None = Field(default=None, ge=1)
    after: int = Field(default=0, ge=0, description="how many matching calls go well first")
    seen: int = 0
    hits: int = 0

    def takes(self, method: str, account: str, recipients: list[str]) -> bool:
        """Whether this fault strikes this call; counts the call. Numbers are digits alone."""
        if not fnmatchcase(method, self.method):
            return False
        if self.account and not fnmatchcase(account, self.account.removeprefix("+")):
            return False
        if self.recipient and not any(fnmatchcase(one, self.recipient.removeprefix("+")) for one in recipients):
            return False
        self.seen += 1
        if self.seen <= self.after or (self.times is not None and self.hits >= self.times):
            return False
        self.hits += 1
        return True


class Faults(FaultSet):
    """All faults that are switched on, by name; each may be there several times with other limits."""

    active: dict[FaultName, list[Fault]] = Field(default_factory=dict)

    @classmethod
    def spelled_out(cls, name: str, given: Any) -> Any:  # noqa: ARG003  # the same for all
        """A bare number is the fault's value, a bare word its error, and `true` the fault without limits."""
        if given is True:
            return {}
        if isinstance(given, str):
            return {"error": given}
        return {"value": given} if isinstance(given, int | float) else given

    def strike(self, method: str, account: str, recipients: list[str]) -> tuple[FaultName, Fault] | None:
        """Return the first fault that strikes a call, and count it."""
        for name, faults in self.active.items():
            for fault in faults:
                if name is not FaultName.DOWN and fault.takes(method, account, recipients):
                    return name, fault
        return None

    @property
    def is_down(self) -> bool:
        """Whether new connections are cut at once; counts one."""
        return any(fault.takes("", "", []) for fault in self.active.get(FaultName.DOWN, ()))
