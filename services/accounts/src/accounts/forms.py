"""What routes take. Unknown fields are refused: a typing error must not pass for a setting."""

from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from contracts.channels import Category, Channel
from contracts.state import Pace, QuietHours, WarmUp
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints, model_validator

from accounts.usecases import Changes, Draft

Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
]


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not hold NUL")
    return text


Notes = Annotated[str, StringConstraints(max_length=5_000), AfterValidator(_no_nul)]
Secrets = dict[Annotated[str, StringConstraints(max_length=50)], SecretStr | None]


class Form(BaseModel):
    """A request body."""

    model_config = ConfigDict(extra="forbid")


class QuietHoursForm(QuietHours):
    """Quiet hours, strictly."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="after")
    def _zone(self) -> "QuietHoursForm":
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"unknown time zone {self.time_zone!r}") from error
        return self


class WarmUpForm(WarmUp):
    """Warm-up, strictly."""

    model_config = ConfigDict(extra="forbid")


class PaceForm(Pace):
    """Pace, strictly."""

    model_config = ConfigDict(extra="forbid")
    quiet_hours: QuietHoursForm | None = None
    warm_up: WarmUpForm | None = None

    @model_validator(mode="after")
    def _ordered(self) -> "PaceForm":
        if self.max_pause_seconds < self.min_pause_seconds:
            raise ValueError("max_pause_seconds must not be less than min_pause_seconds")
        return self

    def plain(self) -> Pace:
        """Return the pace as it is kept."""
        return Pace.model_validate(self.model_dump())


class NewAccount(Form):
    """[New Account]."""

    name: Name
    channel: Channel
    category: Category | None = Field(default=None, description="Follows from the channel; if given, it must fit")
    notes: Notes = ""
    active: bool = True
    worker: bool = True
    pace: PaceForm = PaceForm()
    settings: dict[str, Any] = Field(default_factory=dict, description="As /v1/channels describes for the channel")
    credentials: Secrets = Field(default_factory=dict, description="Sealed at once; never returned")

    @model_validator(mode="after")
    def _fits(self) -> "NewAccount":
        if self.category not in (None, self.channel.category):
            raise ValueError(f"{self.channel} is of category {self.channel.category}")
        return self

    def draft(self) -> Draft:
        """Return what the use case takes."""
        return Draft(
            name=self.name,
            channel=self.channel,
            notes=self.notes,
            active=self.active,
            worker=self.worker,
            pace=self.pace.plain(),
            settings=self.settings,
            credentials={n: v for n, v in opened(self.credentials).items() if v is not None},
        )


class AccountPatch(Form):
    """An edit: what is left out stays."""

    version: int | None = Field(default=None, ge=1, description="The version it is based on, instead of If-Match")
    name: Name | None = None
    notes: Notes | None = None
    active: bool | None = None
    worker: bool | None = None
    pace: PaceForm | None = None
    settings: dict[str, Any] | None = Field(default=None, description="All settings anew, not a part of them")
    credentials: Secrets | None = Field(default=None, description="Those named are replaced, null removes one")

    def changes(self) -> Changes:
        """Return what the use case takes."""
        return Changes(
            name=self.name,
            notes=self.notes,
            active=self.active,
            worker=self.worker,
            pace=self.pace.plain() if self.pace else None,
            settings=self.settings,
            credentials=None if self.credentials is None else opened(self.credentials),
        )


class WorkerForm(Form):
    """[Worker On] / [Worker Off]."""

    on: bool


class TestForm(Form):
    """Settings to try. For a saved account, what is left out is taken from it."""

    __test__ = False
    settings: dict[str, Any] | None = None
    credentials: Secrets = Field(default_factory=dict)


class AnswerForm(Form):
    """The answer to a login challenge, or the wish for another code."""

    challenge_id: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    answer: Annotated[SecretStr, Field(max_length=1_024)] = SecretStr("")
    resend: bool = False

    @model_validator(mode="after")
    def _complete(self) -> "AnswerForm":
        if not self.resend and not self.answer.get_secret_value():
            raise ValueError("answer is required, unless resend is true")
        return self


def opened(secrets: Secrets) -> dict[str, str | None]:
    """Return secrets in the clear, on their way into the sealer."""
    return {name: value.get_secret_value() if value is not None else None for name, value in secrets.items()}
