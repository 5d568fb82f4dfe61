"""Mail that comes from nowhere: put straight into an account's folder."""

import base64
import binascii
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import localtime, make_msgid
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

_PAD_LINE = "x" * 70 + "\n"


class Injection(BaseModel):
    """A message to deliver: given raw, or made of its fields; `size_mb` pads the text (megabytes)."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    to: str = Field(description="the account; local part or full address")
    folder: str = "INBOX"
    sender: str = Field(default="someone@elsewhere.test", alias="from")
    subject: str = "Hello"
    text: str = "Hello\n"
    html: str | None = None
    message_id: str | None = None
    in_reply_to: str | None = None
    references: str | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    raw_base64: str | None = None
    size_mb: float = Field(default=0, ge=0, le=60)

    @model_validator(mode="after")
    def _raw_is_base64(self) -> Self:
        if self.raw_base64 is not None:
            try:
                base64.b64decode(self.raw_base64, validate=True)
            except binascii.Error as error:
                raise ValueError("raw_base64 is not base64") from error
        return self

    def content(self, to: str) -> bytes:
        """Return the raw mail."""
        if self.raw_base64 is not None:
            return base64.b64decode(self.raw_base64)
        message = EmailMessage(policy=SMTP)
        message["From"], message["To"], message["Subject"] = self.sender, to, self.subject
        message["Date"] = localtime()
        message["Message-ID"] = self.message_id or make_msgid(domain="elsewhere.test")
        if self.in_reply_to:
            message["In-Reply-To"] = self.in_reply_to
            message["References"] = self.references or self.in_reply_to
        for name, value in self.headers.items():
            message[name] = value
        message.set_content(self.text + _PAD_LINE * int(self.size_mb * 1_000_000 / len(_PAD_LINE)))
        if self.html:
            message.add_alternative(self.html, subtype="html")
        return message.as_bytes()
