"""What every message and stored value has in common."""

from datetime import UTC, datetime
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""One token of a subject or key: never an address, never a dot."""

DottedId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}(\.[A-Za-z0-9_-]{1,64}){0,3}$")]
"""Up to four tokens: a row from outside is `<source>.<id>`, a batch `<campaign>.<k>`."""


def _aware(at: datetime) -> datetime:
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is before the year 1 or after the year 9999 in UTC") from error


Time = Annotated[datetime, AfterValidator(_aware)]
"""A moment in UTC; a naive one is taken as UTC."""


class Value(BaseModel):
    """Part of a message, or a value in a bucket. Unknown fields are ignored, so that a newer sender is understood."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Message(Value):
    """A message on the bus. NAME is its CloudEvents type without version; a breaking change raises VERSION."""

    NAME: ClassVar[str]
    VERSION: ClassVar[int] = 1

    @classmethod
    def ce_type(cls) -> str:
        """Return the CloudEvents type, such as `kurir.message.sent.v1`."""
        return f"kurir.{cls.NAME}.v{cls.VERSION}"
