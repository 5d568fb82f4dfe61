"""Incoming mail as events: Received, Bounced, Delivered. `read` may take long and runs in the account's thread."""

import email
import hashlib
from dataclasses import dataclass, field
from email.message import Message

from channelkit.protocol import Host
from channelkit.protocol import Inbound as Event
from contracts.channels import Channel
from contracts.commands import Attachment, Recipient
from contracts.ids import inbound_id, parse_message_id
from contracts.inbox import Bounced, Delivered, Received
from servicekit.errors import Permanent

from channel_email import bodies
from channel_email.folder import Delivery
from channel_email.reports import Report, is_automatic, reports
from channel_email.settings import Settings

_NOBODY = Recipient(address="unknown@unknown.invalid")
_MOST_FILES = 200
_MOST_LINES = 1_000_000
_MOST_PARTS = 10_000
_MOST_STEPS = 50_000_000
"""The parser asks of each line whether it ends any of the parts around it: lines times boundaries, 0.1 µs each."""
_LONGEST_TEXT = 150_000
"""Bytes of text and of HTML that travel in the event itself; a longer one is a file beside it."""


@dataclass(slots=True)
class Reading:
    """One mail, read: what is to be published, and the files that must be kept first."""

    id: str
    events: list[Event] = field(default_factory=list)
    files: list[bodies.File] = field(default_factory=list)
    dead_letter: tuple[bytes, str] | None = None
    notes: list[str] = field(default_factory=list)


class Inbound:
    """Turns one account's incoming mail into events."""

    def __init__(self, host: Host, own_address: str, settings: Settings) -> None:
        self._host, self._own = host, own_address.casefold()
        self._account_id = host.account.account_id
        self._limit = settings.inbound_limit_bytes

    def read(self, delivery: Delivery) -> Reading:
        """Return what a mail means; never fails: what cannot be read is a stub and a dead letter."""
        message_id = ""
        try:
            message = _parsed(delivery.raw)
            message_id = next(iter(bodies.message_ids(message, "Message-ID")), "")
            reading = Reading(self._id(delivery, message_id))
            if delivery.size > self._limit:
                return self._stub(reading, message, message_id, delivery, why="too_large")
            self._understand(reading, message, message_id, delivery)
        except Exception as error:  # a mail that breaks a parser must not stop those behind it
            reading = Reading(self._id(delivery, message_id))
            return self._stub(reading, _head(delivery.raw), message_id, delivery, why="unreadable", error=error)
        return reading

    async def publish(self, reading: Reading) -> None:
        """Keep the files, then publish; returns once everything is acknowledged. Raises Conflict, Unavailable."""
        kept = [await self._host.put_media(one.data, one.filename, one.content_type) for one in reading.files]
        if reading.dead_letter:
            raw, error = reading.dead_letter
            await self._host.dead_letter(raw, error, reading.id)
        for number, event in enumerate(reading.events):
            await self._publish(_with_files(event, kept), reading, number)
        for note in reading.notes:
            await self._host.log("info", note)

    async def _publish(self, event: Event, reading: Reading, number: int) -> None:
        event_id = reading.id if isinstance(event, Received) else f"{reading.id}.{number}"
        try:
            await self._host.publish(event, event_id)
        except Permanent as error:
            await self._host.dead_letter(event.model_dump_json().encode(), error.reason, event_id)

    def _id(self, delivery: Delivery, message_id: str) -> str:
        return inbound_id(self._account_id, message_id, hashlib.sha256(delivery.raw).hexdigest())

    def _understand(self, reading: Reading, message: Message, message_id: str, delivery: Delivery) -> None:
        found = reports(message)
        if found is not None:
            reading.events = [self._reported(one, message, delivery) for one in found if _leads_somewhere(one)]
            if not reading.events:
                reading.notes = [f"A delivery report without a final result: {bodies.header(message, 'Subject')}"]
            return
        sender = next(iter(bodies.addresses(message, "From", "Sender")), _NOBODY)
        own = sender.address.casefold() == self._own
        if own and parse_message_id(message_id):
            return  # the copy of a message we sent
        text = bodies.body(message)
        received = self._received(reading, message, message_id, delivery, sender, own=own)
        reading.files = text.files[:_MOST_FILES]
        if len(text.files) > _MOST_FILES:
            reading.notes.append(f"A message with {len(text.files)} files: the first {_MOST_FILES} were kept")
        shown, page = _fitting(text.text, "message.txt", reading.files), text.html
        if page is not None and len(page.encode()) > _LONGEST_TEXT:
            reading.files.append(bodies.File(page.encode(), "message.html", "text/html"))
            page = None
        reading.events = [received.model_copy(update={"text": shown, "html": page})]

    def _received(
        self, reading: Reading, message: Message, message_id: str, delivery: Delivery, sender: Recipient, *, own: bool
    ) -> Received:
        to = bodies.addresses(message, "To", "Cc")
        peer = (to[0] if own and to else sender).address
        answered = bodies.message_ids(message, "In-Reply-To")
        references = [one for one in bodies.message_ids(message, "References") if one not in answered] + answered
        ours = next((found for one in reversed(references) if (found := parse_message_id(one))), None)
        return Received(
            id=reading.id,
            account_id=self._account_id,
            channel=Channel.EMAIL,
            platform_id=message_id or f"<{reading.id}@no-message-id.invalid>",
            sender=sender,
            conversation=peer.casefold(),
            to=to,
            at=delivery.at,
            subject=bodies.header(message, "Subject") or None,
            references=references,
            answers_row=ours[0] if ours else None,
            auto_reply=is_automatic(message),
            own=own,
        )

    def _reported(self, report: Report, message: Message, delivery: Delivery) -> Event:
        at = bodies.sent_at(message, delivery.at)
        if report.kind == "delivered" and report.row:
            return Delivered(
                account_id=self._account_id, channel=Channel.EMAIL, row=report.row, wanted=report.wanted, at=at
            )
        return Bounced(
            account_id=self._account_id,
            channel=Channel.EMAIL,
            row=report.row,
            wanted=report.wanted,
            address=report.address or "unknown",
            kind="complaint" if report.kind == "complaint" else "bounce",
            # Anybody can write a report; only one that quotes our own Message-ID may silence an address.
            hard=report.permanent and report.row is not None,
            status=report.status,
            diagnostic=report.diagnostic,
            at=at,
        )

    def _stub(
        self,
        reading: Reading,
        message: Message,
        message_id: str,
        delivery: Delivery,
        *,
        why: str,
        error: Exception | None = None,
    ) -> Reading:
        try:
            sender = next(iter(bodies.addresses(message, "From", "Sender")), _NOBODY)
            own = sender.address.casefold() == self._own
            received = self._received(reading, message, message_id, delivery, sender, own=own)
        except Exception:  # not even its head can be read
            received = self._received(reading, Message(), "", delivery, _NOBODY, own=False)
        reading.events = [received.model_copy(update={"stub": why})]
        detail = f"{delivery.size} bytes" if error is None else type(error).__name__
        reading.dead_letter = (delivery.raw, f"{why}: {detail}")
        return reading


def _parsed(raw: bytes) -> Message:
    """Return the mail; raises ValueError for one built to keep the parser busy."""
    lines, boundaries = raw.count(b"\n"), raw.lower().count(b"boundary")
    if lines > _MOST_LINES or lines * boundaries > _MOST_STEPS or raw.count(b"\n--") > _MOST_PARTS:
        raise ValueError(f"{lines} lines, {boundaries} boundaries")
    return email.message_from_bytes(raw)


def _leads_somewhere(report: Report) -> bool:
    return bool(report.row) if report.kind == "delivered" else bool(report.row or report.address)


def _fitting(text: str, filename: str, files: list[bodies.File]) -> str:
    """Return the text, or its beginning where the whole becomes a file."""
    data = text.encode()
    if len(data) <= _LONGEST_TEXT:
        return text
    files.append(bodies.File(data, filename, "text/plain"))
    return data[:_LONGEST_TEXT].decode(errors="ignore")


def _with_files(event: Event, kept: list[Attachment]) -> Event:
    return event.model_copy(update={"attachments": kept}) if isinstance(event, Received) and kept else event


def _head(raw: bytes) -> Message:
    """Return the plain headers of a mail that cannot be parsed as a whole."""
    head, _, _ = raw[:65_536].partition(b"\r\n\r\n")
    message = Message()
    for line in head.split(b"\r\n"):
        name, colon, value = line.decode("ascii", "replace").partition(":")
        if colon and name.strip().lower() in ("from", "to", "subject"):
            message[name.strip()] = value.strip()
    return message
