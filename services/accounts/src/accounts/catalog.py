"""The channels as data, so that a page can draw [New Account] without knowing any of them."""

from collections.abc import Mapping
from typing import Any, Literal

from contracts.channels import Category, Channel
from contracts.email import PRESETS, Auth, Security
from pydantic import BaseModel, Field

FieldType = Literal["text", "password", "number", "select", "checkbox", "phone", "email"]


class Option(BaseModel):
    """A choice."""

    value: str
    label: str


class FormField(BaseModel):
    """One field; `name` is its path in the request, such as `settings.smtp.host`."""

    name: str
    label: str
    type: FieldType = "text"
    required: bool = False
    options: list[Option] = Field(default_factory=list)
    default: str | int | bool | None = None
    help: str = ""


class PresetView(BaseModel):
    """A provider's servers: what choosing it fills in."""

    value: str
    label: str
    fills: dict[str, Any] = Field(description="Field name → value; an empty one is left to the person")


class ChannelView(BaseModel):
    """A channel this deployment is subscribed to."""

    channel: Channel
    title: str
    category: Category
    fields: list[FormField]
    presets: list[PresetView] = Field(default_factory=list)
    can_test: bool = Field(default=False, description="Whether settings can be tried before saving")
    login: str = Field(description="What happens after saving, in words")
    login_url: str | None = Field(
        default=None,
        description="Where a person logs in with a browser; such a session may be imported (`kurir login`)",
    )


TITLES: Mapping[Channel, str] = {
    Channel.EMAIL: "Email",
    Channel.TELEGRAM: "Telegram",
    Channel.WHATSAPP: "WhatsApp",
    Channel.BUKALAPAK: "Bukalapak",
    Channel.SHOPEE: "Shopee.co.id",
    Channel.TOKOPEDIA: "Tokopedia.com",
    Channel.INSTAGRAM: "Instagram",
    Channel.GOOGLE_MAPS: "Google Maps",
    Channel.OLX: "OLX",
    Channel.INDONESIAYP: "IndonesiaYP",
}
LOGIN_URLS: Mapping[Channel, str] = {
    Channel.WHATSAPP: "https://web.whatsapp.com/",
    Channel.BUKALAPAK: "https://www.bukalapak.com/login",
    Channel.SHOPEE: "https://seller.shopee.co.id/",
    Channel.TOKOPEDIA: "https://seller.tokopedia.com/",
    Channel.INSTAGRAM: "https://www.instagram.com/accounts/login/",
}
"""Could not be checked against the live sites; a deployment may say others (ACCOUNTS_LOGIN_URLS)."""
_CODE = "A code is asked for."
_LOGIN: Mapping[Channel, str] = {
    Channel.EMAIL: "The connection is tested, and shown as ready or with the server's own error.",
    Channel.TELEGRAM: "A code is sent to the phone; then, where it is set, the two-step password is asked for.",
    Channel.WHATSAPP: "A QR code is shown, to be scanned with the phone, or a code to be typed into it.",
    **dict.fromkeys((Channel.BUKALAPAK, Channel.SHOPEE, Channel.TOKOPEDIA, Channel.INSTAGRAM), _CODE),
}


def _options(values: Mapping[str, str]) -> list[Option]:
    return [Option(value=value, label=label) for value, label in values.items()]


_SECURITY = _options({Security.TLS: "SSL/TLS", Security.STARTTLS: "STARTTLS", Security.NONE: "None"})
_AUTH = _options({Auth.PASSWORD: "Password", Auth.XOAUTH2: "OAuth token (XOAUTH2)", Auth.NONE: "None"})


def _server(kind: Literal["smtp", "imap"], port: int, security: Security) -> list[FormField]:
    title, at = kind.upper(), f"settings.{kind}"
    return [
        FormField(name=f"{at}.host", label=f"{title} host", required=True),
        FormField(name=f"{at}.port", label=f"{title} port", type="number", default=port),
        FormField(name=f"{at}.security", label="Security", type="select", options=_SECURITY, default=str(security)),
        FormField(name=f"{at}.auth", label="Sign-in", type="select", options=_AUTH, default=str(Auth.PASSWORD)),
        FormField(name=f"{at}.username", label="Username", help="The From address where it is left out"),
    ]


_EMAIL = [
    FormField(
        name="settings.preset",
        label="SMTP option",
        type="select",
        required=True,
        default="gmail",
        options=_options({name: preset.title for name, preset in PRESETS.items()}),
    ),
    FormField(name="settings.smtp.from_address", label="From address", type="email", required=True),
    FormField(name="settings.smtp.from_name", label="From name"),
    *_server("smtp", 587, Security.STARTTLS),
    FormField(
        name="credentials.smtp_password", label="Password", type="password", help="Gmail and Yahoo: an app password"
    ),
    *_server("imap", 993, Security.TLS),
    FormField(
        name="credentials.imap_password", label="IMAP password", type="password", help="SMTP's where it is left out"
    ),
    FormField(name="settings.imap.append_sent", label="Keep replies in the Sent folder", type="checkbox", default=True),
    FormField(name="settings.imap.import_days", label="Import mail of the last days", type="number", default=0),
    FormField(name="settings.messages_per_connection", label="Messages per connection", type="number", default=100),
]


def _site(*, required: bool) -> list[FormField]:
    return [
        FormField(name="settings.username", label="Username", required=required),
        FormField(name="credentials.password", label="Password", type="password", required=required),
    ]


FIELDS: Mapping[Channel, list[FormField]] = {
    Channel.EMAIL: _EMAIL,
    Channel.TELEGRAM: [
        FormField(
            name="settings.client_id",
            label="Client Id",
            type="phone",
            required=True,
            help="The phone number, such as +628888888888",
        )
    ],
    Channel.WHATSAPP: [
        FormField(
            name="settings.login",
            label="Link the phone by",
            type="select",
            options=_options({"qr": "scanning a QR code", "pairing": "typing a code into the phone"}),
            default="qr",
        ),
        FormField(
            name="settings.phone",
            label="Phone number",
            type="phone",
            help="Needed for a code to type, such as +628888888888",
        ),
        FormField(name="settings.groups", label="Show what is written in groups", type="checkbox", default=False),
        FormField(
            name="settings.typing_seconds",
            label="Show “typing…” for at most (s)",
            type="number",
            default=0,
            help="Before each message, longer for a longer one; at most 15",
        ),
        FormField(
            name="settings.sleep_minutes",
            label="Close the browser after idle minutes",
            type="number",
            help="Saves memory while there is nothing to send; empty: never",
        ),
    ],
    Channel.BUKALAPAK: _site(required=True),
    Channel.SHOPEE: _site(required=False),
    Channel.TOKOPEDIA: _site(required=True),
    Channel.INSTAGRAM: _site(required=True),
}


def describe(channel: Channel, login_urls: Mapping[str, str] | None = None) -> ChannelView:
    """Return a channel as a page needs it; *login_urls* of this deployment go before the platforms' own."""
    return ChannelView(
        channel=channel,
        title=TITLES[channel],
        category=channel.category,
        fields=FIELDS.get(channel, []),
        presets=_presets() if channel is Channel.EMAIL else [],
        can_test=channel is Channel.EMAIL,
        login_url=(login_urls or {}).get(channel) or LOGIN_URLS.get(channel),
        login=_LOGIN.get(channel, "There is nothing to log in to."),
    )


def _presets() -> list[PresetView]:
    return [
        PresetView(value=name, label=preset.title, fills=_fills({"smtp": preset.smtp, "imap": preset.imap or {}}))
        for name, preset in PRESETS.items()
    ]


def _fills(servers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {f"settings.{kind}.{name}": value for kind, fields in servers.items() for name, value in fields.items()}
