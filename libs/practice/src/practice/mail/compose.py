"""The mail that recipients and servers send back, as their RFCs print it."""

import re
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage, Message
from email.parser import BytesParser
from email.policy import SMTP, default
from email.utils import format_datetime, localtime, make_msgid, parseaddr
from functools import cached_property
from uuid import uuid4

HEADER_LIMIT = 65_536


@dataclass(frozen=True)
class Heard:
    """What a recipient knows of a message it reacts to: its envelope and its header section, raw."""

    recipient: str
    mail_from: str
    headers: bytes

    @classmethod
    def of(cls, recipient: str, mail_from: str, content: bytes) -> "Heard":
        """Keep only the header section: bodies would fill the memory of the queues."""
        end = content.find(b"\r\n\r\n", 0, HEADER_LIMIT)
        return cls(recipient, mail_from, content[: end + 2] if end >= 0 else content[:HEADER_LIMIT])

    def header(self, name: str) -> str:
        """Return a header decoded and unfolded, or an empty string."""
        value = self.parsed[name]
        return "" if value is None else " ".join(str(value).split())

    @cached_property
    def parsed(self) -> Message:
        """The header section parsed."""
        return BytesParser(policy=default).parsebytes(self.headers, headersonly=True)

    @property
    def writer(self) -> str:
        """The address a person's reply goes to."""
        return parseaddr(self.header("reply-to") or self.header("from"))[1].lower()


def _addressed(heard: Heard, sender: str, to: str, subject: str) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = to
    message["Subject"] = subject
    message["Date"] = localtime()
    message["Message-ID"] = make_msgid(domain=heard.recipient.rpartition("@")[2])
    answered = heard.header("message-id")
    if answered:
        message["In-Reply-To"] = answered
        message["References"] = " ".join((heard.header("references") + " " + answered).split()[-10:])
    return message


def _person(address: str) -> str:
    local, _, domain = address.rpartition("@")
    return str(Address(display_name=re.split(r"[+.-]", local)[0].capitalize(), username=local, domain=domain))


def reply(heard: Heard) -> bytes:
    """Return a person's reply to the writer of the message."""
    subject = heard.header("subject")
    subject = subject if subject.lower().startswith("re:") else f"Re: {subject}"
    message = _addressed(heard, _person(heard.recipient), heard.writer, subject)
    message.set_content(f"Yes, I would like to know more. Please write to me.\n\n{heard.recipient}\n")
    return message.as_bytes()


def autoreply(heard: Heard) -> bytes:
    """Return an out-of-office answer (RFC 3834), which goes to the envelope sender."""
    message = _addressed(heard, heard.recipient, heard.mail_from, f"Automatic reply: {heard.header('subject')}")
    message["Auto-Submitted"] = "auto-replied"
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content("I am away and will read your message when I am back.\n")
    return message.as_bytes()


def _lines(*lines: str) -> bytes:
    return "".join(line + "\r\n" for line in lines).encode()


def _report(heard: Heard, *, kind: str, subject: str, sender: str, text: str, status: bytes) -> bytes:
    boundary = uuid4().hex
    head = _lines(
        f"From: {sender}",
        f"To: {heard.mail_from}",
        f"Subject: {subject}",
        f"Date: {format_datetime(localtime())}",
        f"Message-ID: {make_msgid(domain=heard.recipient.rpartition('@')[2])}",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type={kind}; boundary="{boundary}"',
        "",
        f"--{boundary}",
        "Content-Type: text/plain; charset=utf-8",
        "",
        text,
        f"--{boundary}",
        f"Content-Type: message/{kind}",
        "",
    )
    tail = _lines(f"--{boundary}", "Content-Type: text/rfc822-headers", "")
    return head + status + tail + heard.headers + _lines("", f"--{boundary}--")


def delivery_report(heard: Heard, *, hard: bool) -> bytes:
    """Return a delivery status notification (RFC 3464): 5.1.1 when hard, else 4.2.2."""
    status, words = ("5.1.1", "550 5.1.1 User unknown") if hard else ("4.2.2", "452 4.2.2 Mailbox full")
    domain = heard.recipient.rpartition("@")[2]
    fields = _lines(
        f"Reporting-MTA: dns; {domain}",
        f"Arrival-Date: {format_datetime(localtime())}",
        "",
        f"Final-Recipient: rfc822; {heard.recipient}",
        f"Original-Recipient: rfc822; {heard.recipient}",
        "Action: failed",
        f"Status: {status}",
        f"Diagnostic-Code: smtp; {words}",
        "",
    )
    text = f"Your message to {heard.recipient} could not be delivered:\r\n{words}\r\n"
    sender, subject = f"Mail Delivery System <mailer-daemon@{domain}>", "Undelivered Mail Returned to Sender"
    return _report(heard, kind="delivery-status", subject=subject, sender=sender, text=text, status=fields)


def complaint(heard: Heard) -> bytes:
    """Return an abuse report (RFC 5965) of the kind that feedback loops send."""
    domain = heard.recipient.rpartition("@")[2]
    fields = _lines(
        "Feedback-Type: abuse",
        "User-Agent: Practice/1.0",
        "Version: 1",
        f"Original-Mail-From: <{heard.mail_from}>",
        f"Original-Rcpt-To: <{heard.recipient}>",
        f"Arrival-Date: {format_datetime(localtime())}",
        f"Reported-Domain: {heard.mail_from.rpartition('@')[2]}",
        "",
    )
    text = f"This is an abuse report for a message to {heard.recipient}.\r\n"
    sender = f"Feedback Loop <feedback@{domain}>"
    return _report(heard, kind="feedback-report", subject="Abuse report", sender=sender, text=text, status=fields)
