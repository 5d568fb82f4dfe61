"""Operators, service tokens, and the rules about them."""

import re
from datetime import datetime
from typing import Annotated

from contracts.base import Time
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints
from servicekit.auth import Role

OPERATOR, TOKEN = "op_", "tok_"
"""Beginnings of ids; they are also the subjects of tokens, so that a token leads back to whom it was given."""


_ADDRESS = re.compile(r"[^\s@\x00-\x1f\x7f]{1,64}@[^\s@\x00-\x1f\x7f]{1,190}")


def normal_email(text: str) -> str:
    """Return an address as operators are found by it; `admin@office.local` is one, since nothing is ever sent to it."""
    text = text.strip().casefold()
    if not _ADDRESS.fullmatch(text):
        raise ValueError("not an e-mail address")
    return text


Email = Annotated[str, StringConstraints(max_length=254), AfterValidator(normal_email)]
Password = Annotated[SecretStr, Field(min_length=10, max_length=1024, description="At least 10 characters")]
Name = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


class Operator(BaseModel):
    """A person who signs in."""

    model_config = ConfigDict(frozen=True)

    id: str
    email: str
    name: str = ""
    role: Role
    active: bool = True
    password_hash: str = Field(repr=False)
    tokens_since: Time
    """Tokens issued earlier are refused: the password was changed, or the operator switched off."""
    created_at: Time


class ServiceToken(BaseModel):
    """A token for a program; the token itself is shown once and kept nowhere."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    role: Role
    created_at: Time
    created_by: str
    expires_at: Time
    revoked_at: Time | None = None

    def is_valid(self, now: datetime) -> bool:
        """Return whether the token opens anything."""
        return self.revoked_at is None and now < self.expires_at
