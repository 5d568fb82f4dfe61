"""What an IMAP server says of a message before it is fetched: UID, size, and when it arrived."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime

_HEADLINE = re.compile(rb"UID (\d+)|RFC822\.SIZE (\d+)|INTERNALDATE \"([^\"]+)\"")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Headline:
    """What is known of a message before it is fetched."""

    uid: int
    size: int
    at: datetime


def imap_date(day: date) -> str:
    """Return a day as RFC 3501 writes it, whatever this machine's language."""
    return f"{day.day}-{_MONTHS[day.month - 1]}-{day.year}"


def headline(line: bytes) -> Headline | None:
    """Return what a FETCH answer says, None where it names no UID."""
    uid = size = 0
    at = datetime.now(UTC)
    for found in _HEADLINE.finditer(line):
        if found[1]:
            uid = int(found[1])
        elif found[2]:
            size = int(found[2])
        else:
            at = _internal_date(found[3].decode("ascii", "replace"), at)
    return Headline(uid, size, at) if uid else None


def _internal_date(text: str, otherwise: datetime) -> datetime:
    try:
        return datetime.strptime(text.strip(), "%d-%b-%Y %H:%M:%S %z").astimezone(UTC)
    except ValueError:
        return otherwise
