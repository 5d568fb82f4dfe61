"""Decoding of what others wrote: headers, charsets, addresses and parts, however broken they are."""

import html as html_entities
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime

import nh3
from contracts.commands import Recipient

_SPACES = re.compile(r"\s+")
_BREAKS = re.compile(r"<(?:br|/p|/div|/tr|/h\d|/li)\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"<(/?)([a-z][a-z0-9]*)", re.IGNORECASE)
_ANY_TAG = re.compile(r"<[^<>]*>")
# What never holds itself: void elements, and those that a next one of their kind closes.
_FLAT = frozenset({
    "area", "base", "br", "col", "dd", "dt", "embed", "hr", "img", "input", "li", "link", "meta", "option", "p", "param",
    "rb", "rp", "rt", "source", "tbody", "td", "tfoot", "th", "thead", "tr", "track", "wbr",
})  # fmt: skip
_DEEPEST = 300
_UNSENDABLE = re.compile("[\x00\ud800-\udfff]")
_MESSAGE_ID = re.compile(r"<[^<>\s]{1,250}>")
_LONGEST_HEADER = 2_000
_LONGEST_LIST = 100_000
_NO_CHARSETS = ("punycode", "idna")  # codecs of names: they take the square of a text's length
_MOST_ADDRESSES = 100
# text/plain and text/html are shown; a calendar or vCard is a file.
_SHOWN = ("text/plain", "text/html")


@dataclass(slots=True)
class File:
    """A part that is a file."""

    data: bytes
    filename: str
    content_type: str


@dataclass(slots=True)
class Body:
    """What a message says, and its files."""

    text: str = ""
    html: str | None = None
    files: list[File] = field(default_factory=list)


def clean(text: str) -> str:
    """Return text that JSON and every store can hold."""
    return _UNSENDABLE.sub("\ufffd", text)


def decode(data: bytes, charset: str | None) -> str:
    """Return the text of bytes: by the charset named, as UTF-8, or byte by byte, but never not at all."""
    for name in (charset, "utf-8"):
        try:
            if name and name.strip().lower() not in _NO_CHARSETS:
                return data.decode(name)
        except (LookupError, UnicodeError, ValueError):
            continue
    return data.decode("cp1252", "replace")


def header(message: Message, name: str) -> str:
    """Return a header in one line, its encoded words decoded; empty where it is absent."""
    raw = message.get(name)
    return "" if raw is None else words(str(raw))


def words(raw: str) -> str:
    """Return text with its encoded words decoded, in one line, at most 2,000 characters."""
    raw = raw[: 4 * _LONGEST_HEADER]
    try:
        parts = decode_header(_repaired(raw))
        text = "".join(part if isinstance(part, str) else decode(part, charset) for part, charset in parts)
    except (HeaderParseError, ValueError, LookupError):
        text = raw
    return clean(_SPACES.sub(" ", text).strip())[:_LONGEST_HEADER]


def _repaired(raw: str) -> str:
    """Raw bytes in a header come from the parser as surrogates."""
    return decode(raw.encode("ascii", "surrogateescape"), None) if not raw.isascii() and _surrogates(raw) else raw


def _surrogates(text: str) -> bool:
    return any("\udc80" <= character <= "\udcff" for character in text)


def addresses(message: Message, *names: str) -> list[Recipient]:
    """Return the people in some headers, those without a usable address left out."""
    raw = [str(value)[:_LONGEST_LIST] for name in names for value in message.get_all(name, [])[:_MOST_ADDRESSES]]
    try:
        given_to = getaddresses([_SPACES.sub(" ", one) for one in raw])[:_MOST_ADDRESSES]
    except RecursionError:  # a comment in a comment in a comment …
        return []
    found = []
    for name, given in given_to:
        address = clean(_repaired(given)).strip()
        if "@" in address and len(address) <= 320:
            found.append(Recipient(address=address, name=words(name)[:500] or None))
    return found


def message_ids(message: Message, *names: str) -> list[str]:
    """Return the Message-IDs in some headers, in order, each once."""
    text = " ".join(str(value) for name in names for value in message.get_all(name, []))
    return list(dict.fromkeys(clean(one) for one in _MESSAGE_ID.findall(text)))[:_MOST_ADDRESSES]


def sent_at(message: Message, otherwise: datetime) -> datetime:
    """Return the Date header's moment; *otherwise* where it cannot be read."""
    try:
        at = parsedate_to_datetime(str(message.get("Date")))
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError, IndexError):
        return otherwise


def body(message: Message) -> Body:
    """Return the text, the HTML without anything active in it, and every other part as a file."""
    found = Body()
    texts: list[str] = []
    pages: list[str] = []
    for part in _leaves(message):
        kind = part.get_content_type()
        filename = _filename(part)
        if kind in _SHOWN and not filename and part.get_content_disposition() != "attachment":
            text = clean(decode(_payload(part), part.get_content_charset()))
            (texts if kind == "text/plain" else pages).append(text)
        else:
            data = _payload(part)
            found.files.append(File(data, filename or f"part-{len(found.files) + 1}", kind))
    found.text = "\n".join(texts).replace("\r\n", "\n").strip()
    page = "".join(pages)
    if too_deep(page):
        found.files.append(File(page.encode(), "message.html", "text/html"))
        found.text = found.text or html_entities.unescape(_SPACES.sub(" ", _ANY_TAG.sub(" ", page))).strip()
        return found
    found.html = nh3.clean(page) if pages else None
    if not found.text and found.html:
        found.text = as_text(found.html)
    return found


def too_deep(page: str) -> bool:
    """Return whether elements may lie in one another so deep that a parser takes the square of the page's length."""
    if page.count("<") <= _DEEPEST:
        return False
    opened: Counter[str] = Counter()
    depth = 0
    for closing, given in _TAG.findall(page):
        name = given.lower()
        if name in _FLAT:
            continue
        step = -1 if closing else 1
        if opened[name] + step >= 0:  # what closes nothing is no step up
            opened[name] += step
            depth += step
        if depth > _DEEPEST:
            return True
    return False


def as_text(page: str) -> str:
    """Return the words of HTML."""
    bare = nh3.clean(_BREAKS.sub("\n", page), tags=set())
    lines = (_SPACES.sub(" ", line).strip() for line in html_entities.unescape(bare).splitlines())
    return "\n".join(line for line in lines if line)


def _leaves(message: Message) -> Iterator[Message]:
    """Yield the parts that hold something; a message inside the message is a file, not looked into."""
    if message.get_content_maintype() == "multipart" and message.is_multipart():
        for part in message.get_payload():
            if isinstance(part, Message):
                yield from _leaves(part)
    else:
        yield message


def _payload(part: Message) -> bytes:
    if part.is_multipart():
        return b"\n".join(one.as_bytes() for one in part.get_payload() if isinstance(one, Message))
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""


def _filename(part: Message) -> str:
    try:
        name = part.get_filename() or ""
    except (LookupError, ValueError, UnicodeError):
        name = "unnamed"
    if not name and part.get_content_type() == "message/rfc822":
        name = "message.eml"
    return words(name).replace("/", "_").replace("\\", "_")[:255]
