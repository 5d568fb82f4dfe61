"""What each channel asks of a new account, and whether what was given can be accepted (product spec 1)."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, get_args

import phonenumbers
from contracts.base import Value
from contracts.channels import EXTRACTORS, Channel
from contracts.email import Auth, EmailSettings
from contracts.whatsapp import WhatsAppSettings
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints, ValidationError
from servicekit.errors import Invalid

PRACTICE_ONLY = {"ca_file": None, "verify": True}
"""Settings of e-mail that weaken the check of the server, with the only value allowed outside practice."""
LONGEST_E164 = 16
"""A plus and 15 digits (ITU-T E.164, section 6)."""


def _phone(text: str) -> str:
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException as error:
        raise ValueError("must be a phone number with its country code, such as +628888888888") from error
    normal = str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
    if not phonenumbers.is_possible_number(number) or len(normal) > LONGEST_E164:
        raise ValueError("is too long or too short for a phone number of its country")
    return normal


_Line = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=320, pattern=r"^[^\x00-\x1f\x7f]+$")
]
_Secret = Annotated[SecretStr, Field(min_length=1, max_length=1024)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Nothing(_Strict):
    """A channel that asks nothing."""


class TelegramSettings(_Strict):
    """Telegram: Client Id is the phone number."""

    client_id: Annotated[str, StringConstraints(max_length=40), AfterValidator(_phone)]


class WhatsAppForm(WhatsAppSettings):
    """WhatsApp: the account's own number, for a pairing code, may be typed with blanks and dashes."""

    phone: Annotated[str, StringConstraints(max_length=40), AfterValidator(_phone)] | None = None


class SiteSettings(_Strict):
    """A site one signs in to by name."""

    username: _Line


class SiteCredentials(_Strict):
    """Its password."""

    password: _Secret


class OfferedSiteSettings(_Strict):
    """A site that can also be signed in to by a person alone."""

    username: _Line | None = None


class OfferedSiteCredentials(_Strict):
    """Its password, if the person likes."""

    password: _Secret | None = None


class EmailCredentials(_Strict):
    """IMAP's password is SMTP's where it is left out."""

    smtp_password: _Secret | None = None
    imap_password: _Secret | None = None


SETTINGS: Mapping[Channel, type[BaseModel]] = {
    Channel.EMAIL: EmailSettings,
    Channel.TELEGRAM: TelegramSettings,
    Channel.WHATSAPP: WhatsAppForm,
    Channel.BUKALAPAK: SiteSettings,
    Channel.SHOPEE: OfferedSiteSettings,
    Channel.TOKOPEDIA: SiteSettings,
    Channel.INSTAGRAM: SiteSettings,
    **dict.fromkeys(EXTRACTORS, Nothing),
}
CREDENTIALS: Mapping[Channel, type[BaseModel]] = {
    Channel.EMAIL: EmailCredentials,
    Channel.TELEGRAM: Nothing,
    Channel.WHATSAPP: Nothing,
    Channel.BUKALAPAK: SiteCredentials,
    Channel.SHOPEE: OfferedSiteCredentials,
    Channel.TOKOPEDIA: SiteCredentials,
    Channel.INSTAGRAM: SiteCredentials,
    **dict.fromkeys(EXTRACTORS, Nothing),
}


def check_settings(channel: Channel, given: Mapping[str, Any], *, practice: bool = False) -> dict[str, Any]:
    """Return a channel's settings in their normal form. Raises Invalid, each field named."""
    wrong = {f"settings.{path}": "unknown field" for path in _unknown(SETTINGS[channel], given)}
    if channel is Channel.EMAIL and not practice:
        wrong |= {
            f"settings.{name}": "may be set on a practice deployment only"
            for name, allowed in PRACTICE_ONLY.items()
            if name in given and given[name] != allowed
        }
    if wrong:
        raise Invalid(wrong)
    return _valid(SETTINGS[channel], given, "settings").model_dump(
        mode="json", exclude_none=channel is not Channel.EMAIL
    )


def check_credentials(channel: Channel, given: Mapping[str, str], settings: Mapping[str, Any]) -> dict[str, str]:
    """Return a channel's credentials without empty ones. Raises Invalid, each field named, never its value.

    *settings* in their normal form say which passwords are needed.
    """
    present = {name: value for name, value in given.items() if value != ""}
    checked = _valid(CREDENTIALS[channel], present, "credentials").model_dump(exclude_none=True)
    secrets = {name: value.get_secret_value() for name, value in checked.items()}
    missing = needed(channel, settings) - set(secrets)
    if missing:
        raise Invalid({f"credentials.{name}": "is required" for name in sorted(missing)})
    return secrets


def needed(channel: Channel, settings: Mapping[str, Any]) -> set[str]:
    """Return the names of the credentials that *settings* cannot do without."""
    if channel is Channel.EMAIL:
        return _needed_by_email(EmailSettings.model_validate(settings))
    return {name for name, field in CREDENTIALS[channel].model_fields.items() if field.is_required()}


def _needed_by_email(settings: EmailSettings) -> set[str]:
    if settings.smtp.auth is not Auth.NONE:
        return {"smtp_password"}
    return {"imap_password"} if settings.imap and settings.imap.auth is not Auth.NONE else set()


def _valid(model: type[BaseModel], given: Mapping[str, Any], where: str) -> BaseModel:
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        raise Invalid(
            {".".join([where, *map(str, found["loc"])]): _words(found["msg"]) for found in error.errors()}
        ) from None  # the cause would carry the input, which may be a password


def _words(message: str) -> str:
    return {"Field required": "is required", "Extra inputs are not permitted": "unknown field"}.get(
        message, message.removeprefix("Value error, ")
    )


def _unknown(model: type[BaseModel], given: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of fields *model* does not know: contracts ignores them, a person's typing error must not pass."""
    if not isinstance(given, Mapping):
        return
    for name, value in given.items():
        field = model.model_fields.get(str(name))
        if field is None:
            yield f"{path}{name}"
        elif inner := _inner(field.annotation):
            yield from _unknown(inner, value, f"{path}{name}.")


def _inner(annotation: Any) -> type[Value] | None:
    """Return the model inside `Model` or `Model | None`."""
    candidates = [annotation, *get_args(annotation)]
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, Value)), None)
