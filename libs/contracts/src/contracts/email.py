"""Settings of an e-mail account: what accounts validates and channel-email opens.

They are `DesiredAccount.settings`; the credentials beside them are `smtp_password` and `imap_password`.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from contracts.base import Value

_ADDRESS = re.compile(r"[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f]+@[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _address(text: str) -> str:
    text = text.strip()
    if not _ADDRESS.fullmatch(text) or len(text.encode()) > 254:
        raise ValueError("not an e-mail address")
    return text


def _one_line(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("must not hold control characters")
    return text


Line = Annotated[str, AfterValidator(_one_line)]
Host = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,253}$", strip_whitespace=True)]
Port = Annotated[int, Field(ge=1, le=65_535)]


class Security(StrEnum):
    """How the connection is protected: TLS from the first byte, STARTTLS (required, not "where offered"), or none."""

    TLS = "tls"
    STARTTLS = "starttls"
    NONE = "none"


class Auth(StrEnum):
    """How to sign in. With xoauth2 the password is the access token."""

    PASSWORD = "password"  # noqa: S105  # a mechanism's name
    XOAUTH2 = "xoauth2"
    NONE = "none"


class SmtpSettings(Value):
    """Where and as whom to send. `username` is the From address where it is left out."""

    host: Host
    port: Port = 587
    security: Security = Security.STARTTLS
    username: Line = Field(default="", max_length=320)
    auth: Auth = Auth.PASSWORD
    from_address: Annotated[str, AfterValidator(_address)]
    from_name: Line = Field(default="", max_length=200)

    @property
    def login(self) -> str:
        """Return the name to sign in with."""
        return self.username or self.from_address


class ImapSettings(Value):
    """Where to read replies. `username` is SMTP's where it is left out."""

    host: Host
    port: Port = 993
    security: Security = Security.TLS
    username: Line = Field(default="", max_length=320)
    auth: Auth = Auth.PASSWORD
    folders: list[Line] = Field(default=["INBOX", "Junk"], min_length=1, max_length=20)
    append_sent: bool = Field(default=True, description="Append replies to the Sent folder")
    import_days: int = Field(default=0, ge=0, le=3650, description="Days of old mail the first connection fetches")


class EmailSettings(Value):
    """All settings of an e-mail account. A preset fills what is left out; `imap: null` means no replies are read."""

    preset: Literal["gmail", "outlook", "yahoo", "zoho", "custom"] = "custom"
    smtp: SmtpSettings
    imap: ImapSettings | None = None
    messages_per_connection: int = Field(default=100, ge=1, le=100_000)
    ca_file: str | None = Field(default=None, description="Practice only: a CA to trust")
    verify: bool = Field(default=True, description="Practice only: check the server's certificate")

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, data: Any) -> Any:
        return _with_preset(data) if isinstance(data, Mapping) else data

    @property
    def imap_login(self) -> str:
        """Return the name to sign in with at the IMAP server."""
        return (self.imap.username if self.imap else "") or self.smtp.login


class Preset(Value):
    """A provider's servers; what a person would else look up."""

    title: str
    smtp: dict[str, Any] = Field(default_factory=dict)
    imap: dict[str, Any] | None = None


def _preset(title: str, smtp: tuple[str, int, str], imap_host: str, junk: str, *, append_sent: bool) -> Preset:
    host, port, security = smtp
    return Preset(
        title=title,
        smtp={"host": host, "port": port, "security": security},
        imap={
            "host": imap_host,
            "port": 993,
            "security": "tls",
            "folders": ["INBOX", junk],
            "append_sent": append_sent,
        },
    )


# Gmail and Microsoft 365 keep a copy of what goes out over SMTP in Sent by themselves.
PRESETS: Mapping[str, Preset] = {
    "gmail": _preset("Gmail", ("smtp.gmail.com", 465, "tls"), "imap.gmail.com", "[Gmail]/Spam", append_sent=False),
    "outlook": _preset(
        "Outlook/Microsoft 365",
        ("smtp.office365.com", 587, "starttls"),
        "outlook.office365.com",
        "Junk Email",
        append_sent=False,
    ),
    "yahoo": _preset("Yahoo", ("smtp.mail.yahoo.com", 465, "tls"), "imap.mail.yahoo.com", "Bulk", append_sent=True),
    "zoho": _preset("Zoho", ("smtp.zoho.com", 465, "tls"), "imap.zoho.com", "Spam", append_sent=True),
    "custom": Preset(title="Custom SMTP"),
}


def _with_preset(data: Mapping[str, Any]) -> dict[str, Any]:
    preset = PRESETS.get(str(data.get("preset") or "custom"))
    if preset is None:
        return dict(data)
    smtp, imap = data.get("smtp"), data.get("imap", preset.imap)
    filled = dict(data)
    if isinstance(smtp, Mapping):
        filled["smtp"] = {**preset.smtp, **_given(smtp)}
    filled["imap"] = {**(preset.imap or {}), **_given(imap)} if isinstance(imap, Mapping) else imap
    return filled


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what a form sends empty, so that the preset fills it."""
    return {name: value for name, value in fields.items() if value not in (None, "")}
