"""Header fields of a message: CR, LF and NUL refused, RFC 2047 for all but plain ASCII, no line over 998 octets."""

import base64
import functools
import re
import time
from email.utils import formatdate
from urllib.parse import quote

from servicekit.errors import Permanent

_FORBIDDEN = re.compile(r"[\r\n\x00]")
_PLAIN = re.compile(r"[ -~]*")
_URL = re.compile(r"https?://[!-;=?-~]{1,900}")
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,240}>")
# Atoms of RFC 5321 and 6531 only: a quoted local part could hold anything.
_LOCAL_PART = re.compile(r"(?:[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]|[^\x00-\x9f\s]){1,64}")
_DOMAIN = re.compile(rb"[A-Za-z0-9._-]{1,253}|\[[0-9A-Za-z:.]{1,60}\]")
_CONTENT_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,100}/[A-Za-z0-9!#$&^_.+-]{1,100}")
_WORD_BYTES = 39  # 64 characters as an encoded word: with any header's name below the 76 of RFC 2047
_PARAMETER_CHARACTERS = 60


def safe(field: str, text: str) -> str:
    """Return *text* stripped; raises Permanent("invalid_header") where it would end the header."""
    if _FORBIDDEN.search(text):
        raise Permanent("invalid_header", f"{field} holds a line break or a NUL")
    return text.strip()


def utf8(field: str, text: str) -> bytes:
    """Return *text* in UTF-8; raises Permanent("invalid_text") for half a surrogate pair."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise Permanent("invalid_text", f"{field} is not valid Unicode") from error


def words(field: str, text: str) -> bytes:
    """Return text for a header: as it is where short printable ASCII, else as encoded words on lines of their own."""
    text = safe(field, text)
    if len(text) <= _PARAMETER_CHARACTERS and _PLAIN.fullmatch(text) and "=?" not in text:
        return text.encode("ascii")
    utf8(field, text)
    return b"\r\n ".join(b"=?utf-8?B?" + base64.b64encode(chunk) + b"?=" for chunk in _chunks(text))


def _chunks(text: str) -> list[bytes]:
    chunks, current = [], b""
    for character in text:
        encoded = character.encode()
        if len(current) + len(encoded) > _WORD_BYTES:
            chunks.append(current)
            current = b""
        current += encoded
    return [*chunks, current]


def mailbox(field: str, name: str, address: bytes) -> bytes:
    """Return `"name" <address>`, the address already checked by `address`."""
    name = safe(field, name)
    if not name:
        return address
    if len(name) <= _PARAMETER_CHARACTERS and _PLAIN.fullmatch(name) and "=?" not in name:
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        return b'"' + escaped.encode("ascii") + b'"\r\n <' + address + b">"
    return words(field, name) + b"\r\n <" + address + b">"


def address(field: str, text: str) -> bytes:
    """Return an address for envelope and header, its domain in ASCII; bytes over 127 mean that SMTPUTF8 is needed.

    Raises Permanent("invalid_address"), so that nothing in a column of addresses can become an SMTP command.
    """
    local, _, domain = text.strip(" ").rpartition("@")
    try:
        # The codec may turn a look-alike into a true ">" or space: what comes out is what is checked.
        ascii_domain = domain.encode("ascii") if domain.isascii() else domain.encode("idna")
    except UnicodeError as error:
        raise Permanent("invalid_address", f"{field} has no valid domain") from error
    if not _LOCAL_PART.fullmatch(local) or not _DOMAIN.fullmatch(ascii_domain):
        raise Permanent("invalid_address", f"{field} is not an e-mail address")
    return utf8(field, local) + b"@" + ascii_domain


def unsubscribe_url(url: str) -> bytes:
    """Return an address for List-Unsubscribe; raises Permanent("invalid_header")."""
    if not _URL.fullmatch(url):
        raise Permanent("invalid_header", "unsubscribe_url is not an http address")
    return url.encode("ascii")


def message_ids(candidates: list[str]) -> list[bytes]:
    """Return those that are Message-IDs: they come from strangers' mail, a bad one must not stop an answer."""
    return [found[0].encode("ascii") for text in candidates if (found := _MESSAGE_ID.fullmatch(text.strip()))]


def content_type(text: str) -> bytes:
    """Return a content type that may be base64; anything else is application/octet-stream."""
    kind = text.strip().lower()
    if not _CONTENT_TYPE.fullmatch(kind) or kind.startswith(("multipart/", "message/")):
        return b"application/octet-stream"
    return kind.encode("ascii")


def filename(text: str) -> bytes:
    """Return a file name as parameters of Content-Disposition (RFC 2231 where it is not plain)."""
    text = safe("filename", text) or "attachment"
    if _PLAIN.fullmatch(text) and '"' not in text and "\\" not in text and len(text) <= _PARAMETER_CHARACTERS:
        return b'filename="' + text.encode("ascii") + b'"'
    encoded = quote(utf8("filename", text), safe="")
    step = _PARAMETER_CHARACTERS
    parts = [encoded[start : start + step] for start in range(0, len(encoded), step)]
    parts[0] = "utf-8''" + parts[0]
    return b";\r\n ".join(f"filename*{n}*={part}".encode("ascii") for n, part in enumerate(parts))


def date() -> bytes:
    """Return now for the Date header, in UTC."""
    return _date(int(time.time()))


@functools.lru_cache(maxsize=4)
def _date(second: int) -> bytes:
    return formatdate(second).encode("ascii")
