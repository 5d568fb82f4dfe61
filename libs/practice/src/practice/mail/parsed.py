"""Received mail, read as a person's mail program would."""

from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Any


def read(raw: bytes) -> dict[str, Any]:
    """Return headers, text, HTML and attachments (name, type, size in bytes) of raw mail.

    What cannot be decoded is None; nothing raises, however odd the mail is.
    """
    message = BytesParser(policy=default).parsebytes(raw)
    return {
        "headers": [[name, _text_of(value)] for name, value in message.raw_items()],
        "subject": _quietly(lambda: str(message["subject"] or "")),
        "text": _quietly(lambda: _body(message, "plain")),
        "html": _quietly(lambda: _body(message, "html")),
        "attachments": _quietly(lambda: [_attachment(part) for part in message.iter_attachments()]) or [],
    }


def _text_of(value: Any) -> str:
    return str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _quietly(get: Any) -> Any:
    try:
        return get()
    except (LookupError, ValueError, AttributeError, TypeError):
        return None


def _body(message: EmailMessage, kind: str) -> str | None:
    part = message.get_body((kind,))
    return None if part is None else str(part.get_content())


def _attachment(part: Any) -> dict[str, Any]:
    payload = part.get_payload(decode=True) or b""
    return {"name": part.get_filename(), "type": part.get_content_type(), "size": len(payload)}
