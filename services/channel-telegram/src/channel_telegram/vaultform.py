"""What is sealed in the vault: the key of the login, or of one that is under way."""

import base64
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from channel_telegram.model import Place


class PendingLogin(BaseModel):
    """A challenge somebody has yet to answer: with it a restart goes on, and no second code is sent."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    challenge_id: str
    step: Literal["code", "password"] = "code"
    code_hash: str
    hint: str = ""
    by_email: bool = False
    asked_at: datetime
    expires_at: datetime | None = None
    resend_after: datetime | None = None
    expired: bool = False


class VaultForm(BaseModel):
    """One account's login, sealed as JSON."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    phone: str
    login_version: int
    """The login a person last asked for, as this form knows it."""
    dc: int = 0
    host: str = ""
    port: int = 0
    key: str = ""
    user_id: int = 0
    """Whose login it is; 0 while it is not finished."""
    pending: PendingLogin | None = None
    ended: str = ""
    """Why the login is no longer good: nothing is tried until a person asks for a new one."""
    not_before: datetime | None = None
    """No code may be asked for until then: the platform said so, or one was asked for a moment ago."""
    asks: int = 0
    """How often a code was asked for without an answer."""

    def __repr__(self) -> str:
        return f"VaultForm(user_id={self.user_id}, ended={self.ended!r})"

    @property
    def auth_key(self) -> bytes | None:
        """Return the key, None where there is none."""
        return base64.b64decode(self.key) if self.key else None

    @property
    def place(self) -> Place | None:
        """Return where the key is good."""
        return Place(self.dc, self.host, self.port) if self.dc else None

    def at(self, place: Place, key: bytes) -> "VaultForm":
        """Return the form with a connection's place and key."""
        update = {"dc": place.dc, "host": place.host, "port": place.port, "key": base64.b64encode(key).decode()}
        return self.model_copy(update=update)
