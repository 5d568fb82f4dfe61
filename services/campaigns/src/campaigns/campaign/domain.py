"""What a campaign is, and what may be done with it when."""

import re
import zoneinfo
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from contracts.base import Id, Time
from contracts.channels import Channel
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

Status = Literal["draft", "scheduled", "processing", "paused", "done", "cancelled"]
RUNNING = ("scheduled", "processing", "paused")
EDITABLE = ("draft", "scheduled", "paused")

_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]"
_Line = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200, pattern=r"^[^\r\n\x00]*$")]


def _clock(text: str) -> str:
    if not re.fullmatch(_CLOCK, text):
        raise ValueError("must be HH:MM, such as 08:30")
    return text


_Clock = Annotated[str, AfterValidator(_clock), Field(json_schema_extra={"pattern": f"^{_CLOCK}$"})]


def _zone(name: str) -> str:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("is not a time zone such as Asia/Jakarta") from error
    return name


class SendingHours(BaseModel):
    """When messages may leave: between `start` and `end` (may pass midnight) on the given days, Monday = 0."""

    model_config = ConfigDict(extra="forbid")

    start: _Clock
    end: _Clock
    time_zone: Annotated[str, AfterValidator(_zone)] = "Asia/Jakarta"
    days: list[Annotated[int, Field(ge=0, le=6)]] = Field(default_factory=lambda: list(range(7)), min_length=1)


class Schedule(BaseModel):
    """When a campaign begins, ends and rests."""

    model_config = ConfigDict(extra="forbid")

    start: Time | None = None
    end: Time | None = None
    hours: SendingHours | None = None
    per_day: int | None = Field(
        default=None, ge=1, le=10**9, description="Messages per day, in the time zone of `hours` or UTC"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start and self.end and self.end <= self.start:
            raise ValueError("end is not after start")
        return self


class PaceOverride(BaseModel):
    """A slower pace for this campaign than its accounts have."""

    model_config = ConfigDict(extra="forbid")

    per_second: float | None = Field(default=None, gt=0, le=10_000)
    min_pause_seconds: float = Field(default=0, ge=0, le=86_400)
    max_pause_seconds: float = Field(default=0, ge=0, le=86_400)

    @property
    def seconds_per_message(self) -> float:
        """Return the mean distance of two messages of one account, 0 where there is no limit."""
        if self.per_second:
            return 1 / self.per_second
        return max(self.min_pause_seconds, (self.min_pause_seconds + self.max_pause_seconds) / 2)


class CampaignIn(BaseModel):
    """What a person fills in. Much of it may wait until Process, which checks that the rest is there."""

    model_config = ConfigDict(extra="forbid", str_max_length=200_000)

    name: Annotated[_Line, StringConstraints(min_length=1)]
    channel: Channel
    accounts: list[Id] = Field(default_factory=list, max_length=1_000)
    lists: list[Id] = Field(default_factory=list, max_length=200, description="Contact lists")
    audience_tags: list[_Line] = Field(default_factory=list, max_length=200, description="Contacts with these tags")
    subject: str | None = Field(default=None, max_length=2_000)
    text: str = ""
    html: str | None = None
    bubbles: list[str] = Field(default_factory=list, max_length=20, description="Chat: further messages after text")
    attachments: list[Id] = Field(default_factory=list, max_length=20, description="Ids of uploaded media")
    attachment_column: _Line | None = Field(default=None, description="A variable that names one more, per recipient")
    schedule: Schedule = Schedule()
    pace: PaceOverride | None = None
    tags: list[_Line] = Field(default_factory=list, max_length=50)
    notes: str = Field(default="", max_length=10_000)

    @field_validator("accounts", "lists", "audience_tags", "tags")
    @classmethod
    def _once(cls, names: list[str]) -> list[str]:
        return list(dict.fromkeys(names))


class CampaignEdit(BaseModel):
    """An edit: what is left out stays."""

    model_config = ConfigDict(extra="allow")
    version: int | None = None


CONTENT_FIELDS = frozenset({"subject", "text", "html", "bubbles", "attachments", "attachment_column"})
ALWAYS_EDITABLE = frozenset({"name", "tags", "notes"})
WHILE_PAUSED = ALWAYS_EDITABLE | CONTENT_FIELDS | {"schedule", "pace", "accounts"}


def given(document: dict[str, Any]) -> CampaignIn:
    """Return the fields a person filled in of a stored campaign."""
    return CampaignIn.model_validate({name: document[name] for name in CampaignIn.model_fields if name in document})


def may_edit(status: str, names: set[str]) -> set[str]:
    """Return the fields among *names* that may not be changed in this status."""
    if status in ("draft", "scheduled"):
        return set()
    return names - (WHILE_PAUSED if status == "paused" else ALWAYS_EDITABLE)


def is_open(hours: SendingHours | None, at: datetime) -> bool:
    """Return whether messages may leave at that moment."""
    return hours is None or _inside(hours, at.astimezone(zoneinfo.ZoneInfo(hours.time_zone)))


def _inside(hours: SendingHours, local: datetime) -> bool:
    clock = local.strftime("%H:%M")
    if hours.start < hours.end:
        return local.weekday() in hours.days and hours.start <= clock < hours.end
    if clock >= hours.start:
        return local.weekday() in hours.days
    return (local.weekday() - 1) % 7 in hours.days and clock < hours.end  # the evening before began these hours


def local_day(schedule: Schedule, at: datetime) -> str:
    """Return the day that `per_day` counts for, YYYY-MM-DD."""
    zone = zoneinfo.ZoneInfo(schedule.hours.time_zone if schedule.hours else "UTC")
    return at.astimezone(zone).strftime("%Y-%m-%d")
