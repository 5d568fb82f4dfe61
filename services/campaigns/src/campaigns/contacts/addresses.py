"""Addresses in their one normal form per kind: what is compared, hashed, kept unique and sent to."""

import re
import unicodedata

import phonenumbers
from contracts.channels import Channel
from email_validator import EmailNotValidError, validate_email

MAX_HANDLE = 100
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_EXCEL_TEXT = re.compile(r'^=?"(.*)"$')
_EXCEL_NUMBER = re.compile(r"^\d([.,]\d+)?E\+?\d+$", re.IGNORECASE)
_HANDLE = re.compile(r"^[^\s<>\"',;:/\\]+$")

_BARE_ID = re.compile(r"^#[1-9]\d{0,29}$", re.ASCII)
"""Who shows neither phone nor handle, by the platform's own id."""

PHONE_CHANNELS = frozenset({Channel.WHATSAPP, Channel.TELEGRAM})
HANDLE_CHANNELS = (
    Channel.WHATSAPP,
    Channel.TELEGRAM,
    Channel.INSTAGRAM,
    Channel.SHOPEE,
    Channel.TOKOPEDIA,
    Channel.BUKALAPAK,
)


class AddressError(ValueError):
    """An address nobody could be reached by; the text says why, in words for a person."""


def one_line(text: str) -> str:
    """Return *text* on one line: line breaks and other control characters as blanks, invisible ones gone."""
    return " ".join(_CONTROL.sub(" ", _INVISIBLE.sub("", text)).split())


def has_control(text: str) -> bool:
    """Return whether *text* holds a line break, NUL or another control character: poison in a header."""
    return _CONTROL.search(text) is not None


def email(text: str) -> str:
    """Return a mailbox in lower case. Raises AddressError."""
    given = _INVISIBLE.sub("", text.strip(" \u00a0"))
    if has_control(given):
        raise AddressError("holds a line break or another control character")
    try:
        # test_environment only lets `.test` through (RFC 2606), where the practice platforms live
        valid = validate_email(given, check_deliverability=False, globally_deliverable=False, test_environment=True)
    except EmailNotValidError as error:
        raise AddressError(str(error).rstrip(".")) from error
    if "." not in valid.ascii_domain:
        raise AddressError("the part after the @-sign has no dot")
    return f"{valid.local_part}@{valid.ascii_domain}".lower()


def phone(text: str, region: str) -> str:
    """Return a phone number in E.164; *region* (such as ID) is for numbers without a country code. Raises AddressError."""
    if has_control(text.strip()):
        raise AddressError("holds a line break or another control character")
    given = one_line(text).lstrip("'")
    given = (match[1] if (match := _EXCEL_TEXT.match(given)) else given).strip()
    if _EXCEL_NUMBER.match(given):
        raise AddressError(f"a spreadsheet has rounded this number to {given}: format the column as text")
    try:
        number = phonenumbers.parse(given, region)
        if not phonenumbers.is_possible_number(number):
            number = phonenumbers.parse(f"+{given.lstrip('+')}", None)
    except phonenumbers.NumberParseException as error:
        raise AddressError("is not a phone number") from error
    if not phonenumbers.is_possible_number(number) or number.extension:
        raise AddressError("is not a possible phone number")
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def handle(text: str) -> str:
    """Return a user name on a platform, without @, in lower case. Raises AddressError."""
    if has_control(text.strip()):
        raise AddressError("holds a line break or another control character")
    given = unicodedata.normalize("NFC", one_line(text).removeprefix("@")).casefold()
    if not given or len(given) > MAX_HANDLE or not _HANDLE.match(given):
        raise AddressError("is not a user name")
    return given


def normalise(channel: str, text: str, region: str = "ID") -> str:
    """Return an address of *channel* in its normal form. Raises AddressError."""
    if channel == Channel.EMAIL:
        return email(text)
    bare = one_line(text).strip("@ ")  # what `handle` would leave of it must not be a number the next time
    if channel in PHONE_CHANNELS and bare.startswith("#"):
        return _bare_id(bare)
    if channel == Channel.WHATSAPP and "@" not in bare:
        return phone(text, region)
    if channel == Channel.TELEGRAM and bare.startswith(("+", "0")):
        return phone(text, region)
    return handle(text)


def _bare_id(text: str) -> str:
    if not is_bare_id(text):
        raise AddressError("is not a platform's id, such as #123456789")
    return text


def is_bare_id(address: str) -> bool:
    """Return whether an address is a platform's own id, `#123`: somebody who shows neither phone nor handle."""
    return _BARE_ID.match(address) is not None


def keys(channel: str, address: str) -> list[str]:
    """Return the contact keys a normalised address may be found under; the first is its own."""
    if channel == Channel.EMAIL:
        return [f"email:{address}"]
    if channel in PHONE_CHANNELS and address.startswith("+"):
        return [f"phone:{address}", f"{channel}:{address}"]
    return [f"{channel}:{address}"]
