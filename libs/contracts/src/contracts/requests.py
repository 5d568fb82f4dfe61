"""Core request/reply: `req.<channel>.…`. Nothing of it is stored on the bus."""

from typing import Any, ClassVar

from pydantic import Field

from contracts.base import Id, Message, Value
from contracts.channels import Channel


class AnswerLogin(Message):
    """The answer to a login challenge; refused unless the challenge is the session's current one."""

    NAME: ClassVar[str] = "login.answer"
    account_id: Id
    challenge_id: str
    answer: str = Field(description="Sealed with the channel's key, context `answer/<account_id>`")
    resend: bool = False


class CheckRecipient(Message):
    """Ask the holder whether an address exists on the platform."""

    NAME: ClassVar[str] = "recipient.check"
    account_id: Id
    address: str


class TestSettings(Message):
    """[Test SMTP]: try unsaved settings; any replica answers."""

    __test__ = False  # pytest would collect it
    NAME: ClassVar[str] = "settings.test"
    channel: Channel
    settings: dict[str, Any]
    credentials: str = Field(description="Sealed with the channel's key, context `test/<channel>`")


class TestStep(Value):
    """One step of a test of settings."""

    __test__ = False
    name: str
    ok: bool
    detail: str = ""
    seconds: float = 0.0


class Reply(Message):
    """The answer to any request."""

    NAME: ClassVar[str] = "reply"
    ok: bool
    error: str | None = Field(default=None, description="A reason in snake_case")
    detail: str = ""
    steps: list[TestStep] = Field(default_factory=list)
