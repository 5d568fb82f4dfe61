# ruff: noqa: N802 # aiosmtpd finds its hooks by these names
"""What the platform does at each step of SMTP: faults first, then the mail is taken in."""

import asyncio
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from practice.mail.accounts import Accounts
from practice.mail.archive import Archive
from practice.mail.faults import FaultName, Faults
from practice.mail.journal import Journal
from practice.mail.mailboxes import Mailboxes
from practice.mail.reactions import Reactions
from practice.mail.recipients import Behaviour, behaviour_of
from practice.mail.smtp import StrictSMTP

ANNOUNCED = ("PIPELINING", "ENHANCEDSTATUSCODES")


class MailHandler:
    """aiosmtpd's handler for all connections of one platform."""

    def __init__(
        self, accounts: Accounts, archive: Archive, journal: Journal, mailboxes: Mailboxes, reactions: Reactions
    ) -> None:
        self.accounts, self.archive, self.journal = accounts, archive, journal
        self.mailboxes, self.reactions = mailboxes, reactions
        self.faults = Faults()
        self.servers: set[StrictSMTP] = set()

    def opened(self, server: StrictSMTP) -> bool:
        """Note the connection; False when the platform is down."""
        assert server.transport is not None
        host, port = server.transport.get_extra_info("peername", ("", 0))[:2]
        server.connection = self.journal.open(f"{host}:{port}")
        server.connection.tls = server.tls
        self.servers.add(server)
        return self.faults.hit_service(FaultName.DOWN, "smtp") is None

    def closed(self, server: StrictSMTP) -> None:
        """Note the end of the connection."""
        self.servers.discard(server)
        server.connection.close()

    def violated(self, server: StrictSMTP, kind: str) -> None:
        """Note a breach of the protocol."""
        self.journal.violate(kind, server.connection)

    def authenticate(
        self, server: SMTP, _session: Session, _envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        """Check password or token against the platform's accounts."""
        assert isinstance(server, StrictSMTP)
        assert isinstance(data, LoginPassword)
        login, secret = data.login.decode("utf-8", "replace"), data.password.decode("utf-8", "replace")
        fault = self.faults.hit_service(FaultName.REFUSE_AUTH, "smtp", self.accounts.address(login))
        if fault:
            return AuthResult(success=False, handled=False, message=fault.answer(535, "5.7.8 Authentication refused"))
        check = self.accounts.check_token if mechanism == "XOAUTH2" else self.accounts.check_password
        account = check(login, secret)
        if account is None:
            return AuthResult(success=False, handled=False, message="535 5.7.8 Authentication credentials invalid")
        server.connection.user = account.address
        return AuthResult(success=True, auth_data=data)

    async def handle_EHLO(
        self, server: StrictSMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """Announce what aiosmtpd has and what we add."""
        session.host_name = hostname
        server.connection.tls = server.tls
        return [responses[0], *(f"250-{one}" for one in ANNOUNCED), *responses[1:]]

    async def handle_MAIL(
        self, server: StrictSMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Begin a transaction, unless the sender is throttled or refused."""
        sender = server.connection.user or address
        refusal = self.faults.throttled(sender, server.connection.messages) or self.faults.refusal("mail", sender, [])
        if not refusal and not address.isascii() and not envelope.smtp_utf8:
            refusal = "553 5.6.7 Non-ASCII address without SMTPUTF8"
        if refusal:
            return refusal
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Ok"

    async def handle_RCPT(
        self, server: StrictSMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a recipient, unless it or a fault refuses."""
        sender = server.connection.user or envelope.mail_from or ""
        refusal = (
            self._refused_by_recipient(address, utf8=envelope.smtp_utf8)
            or self.faults.refusal("rcpt", sender, [address])
            or self.faults.greylisted(sender, address.lower())
        )
        if refusal:
            return refusal
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 Ok"

    @staticmethod
    def _refused_by_recipient(address: str, *, utf8: bool) -> str | None:
        if not address.isascii() and not utf8:
            return "553 5.6.7 Non-ASCII address without SMTPUTF8"
        behaviour = behaviour_of(address)
        if behaviour is Behaviour.REJECT:
            return "550 5.1.1 User unknown"
        if behaviour is Behaviour.TEMPFAIL:
            return "451 4.2.1 Mailbox temporarily unavailable"
        return None

    async def handle_DATA(self, server: StrictSMTP, _session: Session, envelope: Envelope) -> str:
        """Answer the content, in one of the many ways of a bad day."""
        sender, recipients = server.connection.user or envelope.mail_from or "", envelope.rcpt_tos
        refusal = self.faults.refusal("data", sender, recipients)
        if refusal:
            return refusal
        for name in (FaultName.DROP_AFTER_DATA, FaultName.HANG):
            fault = self.faults.hit(name, sender, recipients)
            if fault:
                return await self._never_answer(
                    server, envelope, drop=name is FaultName.DROP_AFTER_DATA, keep=fault.stored
                )
        n = await self._take(server, envelope)
        slow = self.faults.hit(FaultName.SLOW, sender, recipients)
        if slow:
            await asyncio.sleep(slow.value)
        return f"250 2.0.0 Ok: queued as {n}"

    async def _never_answer(self, server: StrictSMTP, envelope: Envelope, *, drop: bool, keep: bool) -> str:
        if keep:
            await self._take(server, envelope)
        if drop:
            server.abort()
        await server.gone.wait()
        return ""

    async def _take(self, server: StrictSMTP, envelope: Envelope) -> int:
        assert isinstance(envelope.content, bytes)
        content, sender = envelope.content, envelope.mail_from or ""
        record = self.archive.add(content, sender, envelope.rcpt_tos, server.connection.user, server.connection.n)
        server.connection.messages += 1
        self.faults.count_message(server.connection.user or sender)
        for recipient in record.rcpt_to:
            if recipient in self.accounts.known:
                await self.mailboxes.deliver(recipient, "INBOX", content)
            behaviour = behaviour_of(recipient)
            if behaviour:
                await self.reactions.put(behaviour, recipient, sender, content)
        return record.n
