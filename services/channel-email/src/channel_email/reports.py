"""Machines that write back: delivery reports (RFC 3464), complaints (RFC 5965), auto-replies."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from itertools import islice
from typing import Literal

from contracts.ids import parse_message_id

from channel_email import bodies

_STATUS = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_LONGEST_DIAGNOSTIC = 1_000
_MOST_REPORTS = 200
"""Of one mail: anybody can write one, and each is an event."""
_BOUNCERS = ("mailer-daemon", "postmaster")
_AUTOMATIC_PRECEDENCE = {"auto_reply", "auto-reply", "bulk", "junk"}
_NO_COMPLAINT = {"not-spam", "opt-out"}


@dataclass(frozen=True, slots=True)
class Report:
    """What a machine says about one recipient of one of our messages."""

    kind: Literal["bounce", "complaint", "delivered"]
    address: str
    row: str | None
    wanted: int
    permanent: bool = False
    status: str = ""
    diagnostic: str = ""


def reports(message: Message) -> list[Report] | None:
    """Return what a report says (nothing, where it says only that delivery is delayed); None for any other mail."""
    if message.get_content_type() == "multipart/report":
        kind = str(message.get_param("report-type", "")).lower()
        if kind == "feedback-report" or _part(message, "message/feedback-report"):
            return _complaint(message)
        if kind == "delivery-status" or _part(message, "message/delivery-status"):
            return list(islice(_delivery(message), _MOST_REPORTS))
    if message.get("X-Failed-Recipients") and _from_bouncer(message):
        return list(_without_status(message))
    return None


def is_automatic(message: Message) -> bool:
    """Return whether a machine wrote this (RFC 3834, and what is common besides): nobody has answered."""
    submitted = bodies.header(message, "Auto-Submitted").lower()
    if submitted and not submitted.startswith("no"):
        return True
    if bodies.header(message, "Precedence").lower() in _AUTOMATIC_PRECEDENCE:
        return True
    automatic = (name for name in message if name.lower().startswith("x-auto"))
    return any(bodies.header(message, name).lower() not in ("", "no", "none") for name in automatic)


def _delivery(message: Message) -> Iterator[Report]:
    row, wanted = _ours(message)
    part = _part(message, "message/delivery-status")
    for fields in part.get_payload() if part is not None and part.is_multipart() else []:
        if not isinstance(fields, Message):
            continue
        address = _recipient(fields, "Final-Recipient") or _recipient(fields, "Original-Recipient")
        action = bodies.header(fields, "Action").lower()
        if not address or action in ("", "delayed", "relayed", "expanded"):
            continue
        found = _STATUS.search(bodies.header(fields, "Status"))
        status = found[1] if found else ""
        diagnostic = bodies.header(fields, "Diagnostic-Code").partition(";")[2].strip()
        yield Report(
            kind="delivered" if action == "delivered" else "bounce",
            address=address,
            row=row,
            wanted=wanted,
            permanent=status.startswith("5") or (not status and action == "failed"),
            status=status,
            diagnostic=(diagnostic or bodies.header(fields, "Diagnostic-Code"))[:_LONGEST_DIAGNOSTIC],
        )


def _without_status(message: Message) -> Iterator[Report]:
    """Read the older form, in which only a header names the recipients and the text holds the server's words."""
    row, wanted = _ours(message)
    text = bodies.body(message).text
    found = _STATUS.search(text)
    for address in re.split(r"[,\s]+", bodies.header(message, "X-Failed-Recipients")):
        if "@" in address:
            status = found[1] if found else ""
            permanent = not status.startswith("4")
            yield Report("bounce", address, row, wanted, permanent, status, text[:_LONGEST_DIAGNOSTIC])


def _complaint(message: Message) -> list[Report]:
    part = _part(message, "message/feedback-report")
    fields = part
    if part is not None and part.is_multipart():
        inner = part.get_payload()
        fields = inner[0] if inner and isinstance(inner[0], Message) else part  # type: ignore[index]
    elif part is not None:
        fields = _parsed(part)
    kind = bodies.header(fields, "Feedback-Type").lower() if fields is not None else "abuse"
    if kind in _NO_COMPLAINT:
        return []
    row, wanted = _ours(message)
    address = _recipient(fields, "Original-Rcpt-To") if fields is not None else ""
    original = next(_originals(message), None)
    if not address and original is not None:
        to = bodies.addresses(original, "To")
        address = to[0].address if to else ""
    return [Report("complaint", address, row, wanted, permanent=True, diagnostic=f"Feedback-Type: {kind}")]


def _ours(message: Message) -> tuple[str | None, int]:
    """Return (row, wanted) of the message of ours that is reported on: from its head, else from the report's."""
    for original in [*_originals(message), message]:
        found = parse_message_id(" ".join(bodies.message_ids(original, "Message-ID", "References", "In-Reply-To")))
        if found:
            return found
    return None, 0


def _originals(message: Message) -> Iterator[Message]:
    for part in message.walk():
        kind = part.get_content_type()
        if kind == "message/rfc822" and part.is_multipart():
            yield from (one for one in part.get_payload()[:1] if isinstance(one, Message))  # type: ignore[index]
        elif kind in ("text/rfc822-headers", "message/rfc822-headers", "message/rfc822"):
            yield _parsed(part)


def _parsed(part: Message) -> Message:
    import email  # noqa: PLC0415

    data = part.get_payload(decode=True)
    return email.message_from_bytes(data.lstrip() if isinstance(data, bytes) else b"")


def _part(message: Message, kind: str) -> Message | None:
    return next((part for part in message.walk() if part.get_content_type() == kind), None)


def _recipient(fields: Message, name: str) -> str:
    """Return the address of `rfc822;ani@example.com`."""
    address = bodies.header(fields, name).rpartition(";")[2].strip().strip("<>")
    return address if "@" in address and len(address) <= 320 else ""


def _from_bouncer(message: Message) -> bool:
    sender = bodies.addresses(message, "From")
    local = sender[0].address.rpartition("@")[0].lower() if sender else ""
    return local in _BOUNCERS or bodies.header(message, "Return-Path") == "<>"
