"""Messages as bytes: the skeleton of a shape is made once, and filled per recipient.

All filled text is quoted-printable or base64, so it can hold neither a boundary nor a long line nor a bare CR or LF.
"""

import binascii
import functools
from dataclasses import dataclass
from typing import NamedTuple

from contracts.commands import SendMessage
from contracts.email import EmailSettings
from contracts.ids import message_id
from servicekit.errors import Permanent

from channel_email import headers

# `=_` can occur in neither quoted-printable nor base64, so no content can hold these lines.
ALTERNATIVE = b"=_kurir_alternative"
MIXED = b"=_kurir_mixed"


class Envelope(NamedTuple):
    """The commands of one message, ready to be written."""

    sender: bytes
    recipient: bytes
    needs_utf8: bool

    @property
    def mail(self) -> bytes:
        """Return the MAIL command without its line end."""
        return b"MAIL FROM:<" + self.sender + (b"> SMTPUTF8" if self.needs_utf8 else b">")

    @property
    def rcpt(self) -> bytes:
        """Return the RCPT command without its line end."""
        return b"RCPT TO:<" + self.recipient + b">"


class Composed(NamedTuple):
    """A message ready to go: its envelope and its bytes (CRLF only, dots not doubled yet)."""

    envelope: Envelope
    message_id: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class EncodedAttachment:
    """An attachment's body in base64, lines ended by CRLF: encoded once for a whole campaign."""

    body: bytes


class Composer:
    """Makes one account's messages."""

    def __init__(self, settings: EmailSettings) -> None:
        smtp = settings.smtp
        self._sender = headers.address("from_address", smtp.from_address)
        self._is_ascii = self._sender.isascii()
        self._domain = self._sender.rpartition(b"@")[2].decode("ascii")
        self._from = b"From: " + headers.mailbox("from_name", smtp.from_name, self._sender) + b"\r\nTo: "

    def message_id(self, command: SendMessage) -> str:
        """Return the Message-ID, the same for every try of the row until a person wants it again."""
        return message_id(command.row, command.wanted, self._domain)

    def compose(self, command: SendMessage, attachments: tuple[EncodedAttachment, ...] = ()) -> Composed:
        """Return the message of a command. Raises Permanent (invalid_header, invalid_address, invalid_text)."""
        recipient = headers.address("address", command.to.address)
        envelope = Envelope(self._sender, recipient, not (self._is_ascii and recipient.isascii()))
        wanted_id = self.message_id(command)
        head = self._head(command, recipient, wanted_id)
        return Composed(envelope, wanted_id, head + _body(command, attachments))

    def _head(self, command: SendMessage, recipient: bytes, wanted_id: str) -> bytes:
        lines = [
            self._from + headers.mailbox("name", command.to.name or "", recipient),
            b"Subject: " + headers.words("subject", command.content.subject or ""),
            b"Message-ID: " + wanted_id.encode("ascii"),
            b"Date: " + headers.date(),
            *_thread(command),
            *_list_unsubscribe(command),
            b"MIME-Version: 1.0\r\n",
        ]
        return b"\r\n".join(lines)


def _thread(command: SendMessage) -> list[bytes]:
    if command.thread is None:
        return []
    parent = headers.message_ids([command.thread.in_reply_to])
    chain = headers.message_ids(command.thread.references)
    chain = [one for one in chain if one not in parent] + parent
    # RFC 5322 allows any number; the first and the latest are what clients thread by.
    chain = chain if len(chain) <= 20 else [chain[0], *chain[-19:]]
    lines = [b"In-Reply-To: " + parent[0]] if parent else []
    return [*lines, b"References: " + b"\r\n ".join(chain)] if chain else lines


def _list_unsubscribe(command: SendMessage) -> list[bytes]:
    if not command.unsubscribe_url:
        return []
    url = headers.unsubscribe_url(command.unsubscribe_url)
    return [b"List-Unsubscribe: <" + url + b">", b"List-Unsubscribe-Post: List-Unsubscribe=One-Click"]


def _body(command: SendMessage, attachments: tuple[EncodedAttachment, ...]) -> bytes:
    content = command.content
    if len(attachments) != len(content.attachments):
        raise Permanent("attachment_missing", "an attachment was not loaded")
    pieces = [_part(b"plain", content.text)] if content.text or content.html is None else []
    pieces += [_part(b"html", content.html)] if content.html is not None else []
    before, between, after = _skeleton(len(pieces))
    inner = before + between.join(pieces) + after
    if not attachments:
        return inner
    parts = [inner]
    for meta, encoded in zip(content.attachments, attachments, strict=True):
        parts.append(_attachment_head(meta.content_type, meta.filename) + encoded.body)
    opening = b'Content-Type: multipart/mixed; boundary="' + MIXED + b'"\r\n\r\n--' + MIXED + b"\r\n"
    return opening + (b"\r\n--" + MIXED + b"\r\n").join(parts) + b"\r\n--" + MIXED + b"--\r\n"


@functools.cache
def _skeleton(pieces: int) -> tuple[bytes, bytes, bytes]:
    if pieces == 1:
        return b"", b"", b""
    line = b"--" + ALTERNATIVE
    opening = b'Content-Type: multipart/alternative; boundary="' + ALTERNATIVE + b'"\r\n\r\n' + line + b"\r\n"
    return opening, b"\r\n" + line + b"\r\n", b"\r\n" + line + b"--\r\n"


@functools.lru_cache(maxsize=256)
def _attachment_head(content_type: str, filename: str) -> bytes:
    return (
        b"Content-Type: "
        + headers.content_type(content_type)
        + b"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment;\r\n "
        + headers.filename(filename)
        + b"\r\n\r\n"
    )


_QUOTED = b'; charset="utf-8"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n'
_LONGEST_KEPT = 16_384
"""Characters. The 32 texts kept take 5 MB at the very most, some 0.1 MB as a rule."""
_BASE64 = b'; charset="utf-8"\r\nContent-Transfer-Encoding: base64\r\n\r\n'


def _part(subtype: bytes, text: str) -> bytes:
    """Return a text part; what many recipients get alike is encoded once."""
    return _kept(subtype, text) if len(text) <= _LONGEST_KEPT else _text(subtype, text)


@functools.lru_cache(maxsize=32)
def _kept(subtype: bytes, text: str) -> bytes:
    return _text(subtype, text)


def _text(subtype: bytes, text: str) -> bytes:
    """Return a text part: readable where most of it is ASCII, base64 where quoting would treble it."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    ended = text if text.endswith("\n") else text + "\n"  # b2a_qp takes its line ends from the first one it meets
    data = headers.utf8("text", ended.replace("\n", "\r\n"))
    if len(data) - len(ended) > len(ended) // 4 and not data.isascii():
        return b"Content-Type: text/" + subtype + _BASE64 + encode_base64(data) + b"\r\n"
    return b"Content-Type: text/" + subtype + _QUOTED + binascii.b2a_qp(data, istext=True)


def encode_base64(data: bytes) -> bytes:
    """Return base64 in lines of 76 characters ended by CRLF. Blocks for about 5 ms per megabyte."""
    step = 57
    lines = [binascii.b2a_base64(data[start : start + step], newline=False) for start in range(0, len(data), step)]
    return b"\r\n".join(lines)
