"""An e-mail account's session: SMTP connections for its senders, and the state of both its servers."""

import asyncio
import contextlib
import time
from weakref import WeakSet

from channelkit.protocol import Host, NeedsLogin
from contracts.commands import SendMessage
from contracts.email import Auth, EmailSettings
from contracts.state import SessionStatus
from servicekit.errors import Permanent, Retry, Unavailable
from servicekit.logs import get_logger

from channel_email.attachments import AttachmentCache
from channel_email.client import ConnectError, connect
from channel_email.inbox_watch import InboxWatch
from channel_email.mime import Composed, Composer
from channel_email.pipeline import Wire
from channel_email.refusals import Refusals
from channel_email.sender import EmailSender
from channel_email.sent_folder import SentFolder
from channel_email.settings import Settings
from channel_email.verdicts import Trouble

_log = get_logger("channel_email.session")
_SIGN_IN_EVERY_SECONDS = 600.0
"""A probe only greets the server; a whole sign-in each minute would look like an attack."""


class EmailSession:
    """Implements protocol.Session, and sender.Account for its senders."""

    def __init__(
        self,
        host: Host,
        settings: Settings,
        account: EmailSettings,
        *,
        cache: AttachmentCache,
        refusals: Refusals,
        send_timeout: float,
    ) -> None:
        self.host, self.settings, self.account = host, settings, account
        self.trouble = Trouble(settings)
        self.messages_per_connection = account.messages_per_connection
        self.send_timeout_seconds = send_timeout * 0.9  # the rest is the kit's, to write the outcome
        self._cache, self._refusals, self._composer = cache, refusals, Composer(account)
        self._senders: WeakSet[EmailSender] = WeakSet()
        self._smtp_trouble = ""
        self._imap_trouble = ""
        self._proof_at = self._signed_in_at = 0.0
        self._opening: asyncio.Task[None] | None = None
        self._watch = InboxWatch(self) if account.imap else None
        self._sent_folder = SentFolder(self) if account.imap and account.imap.append_sent else None

    def start(self) -> None:
        """Begin to connect; progress goes to the host. Credentials refused a moment ago are not tried again yet."""
        account = self.host.account
        words = self._refusals.still(account.account_id, account.login_version)
        opening = self.host.report(SessionStatus.FAILED, f"SMTP: {words}") if words else self._open()
        self._opening = asyncio.create_task(opening, name=f"open {account.account_id}")
        if self._watch and not words:
            self._watch.start()

    async def _open(self) -> None:
        pause = self.settings.offline_wait_seconds
        account = self.host.account
        while True:
            try:
                (await self.connect()).quit()
            except ConnectError as error:
                if error.kind in ("login", "tls"):
                    if error.kind == "login":
                        self._refusals.add(account.account_id, account.login_version, error.words)
                    await self.host.report(SessionStatus.FAILED, f"SMTP: {error.words}")
                    return
                self._smtp_trouble = f"SMTP: {error.words}"
                await self._report()
            else:
                self._smtp_trouble = ""
                self._refusals.forget(account.account_id)
                await self._report()
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, self.settings.longest_wait_seconds)

    async def _report(self) -> None:
        """Say how the account is: trouble with reading makes it degraded, and does not stop sending."""
        reason = self._smtp_trouble or self._imap_trouble
        identity = self.account.smtp.from_address
        if reason:
            await self.host.report(SessionStatus.DEGRADED, reason, identity=identity)
        else:
            await self.host.report(SessionStatus.READY, identity=identity)

    async def imap_state(self, trouble: str) -> None:
        """Hear how the inbox is: empty means that the server has just answered."""
        changed = bool(trouble) != bool(self._imap_trouble)
        self._imap_trouble = trouble
        opened = self._opening is not None and self._opening.done()
        if opened and not self._smtp_trouble and (changed or trouble):
            await self._report()

    @property
    def smtp_password(self) -> str:
        """Return the secret for SMTP."""
        return self.host.credentials.values.get("smtp_password", "")

    @property
    def imap_password(self) -> str:
        """Return the secret for IMAP: SMTP's where it has none of its own."""
        return self.host.credentials.values.get("imap_password") or self.smtp_password

    async def connect(self) -> Wire:
        """Open a signed-in SMTP connection. Raises ConnectError."""
        opened = await connect(
            self.account,
            self.smtp_password,
            practice=self.settings.practice,
            timeout=self.settings.connect_timeout_seconds,
        )
        self._proof_at = self._signed_in_at = time.monotonic()
        return Wire(opened)

    async def compose(self, command: SendMessage) -> Composed:
        """Return the message. Raises Permanent, and Retry where an attachment cannot be fetched now."""
        try:
            encoded = await self._cache.load(command.content.attachments, self.host.get_media)
        except Unavailable as error:
            raise Retry(error.after_seconds, "the media store did not answer") from error
        return self._composer.compose(command, encoded)

    def compose_now(self, command: SendMessage) -> Composed | None:
        """Return the message where all its attachments are at hand. Raises Permanent."""
        encoded = self._cache.now(command.content.attachments)
        return None if encoded is None else self._composer.compose(command, encoded)

    def sent(self, command: SendMessage, composed: Composed) -> None:
        """Hear that a message was accepted; an answer is also kept in the Sent folder, later and at best."""
        self._proof_at = time.monotonic()
        if self._sent_folder and command.kind == "reply":
            self._sent_folder.keep(composed.raw)

    def sender(self) -> EmailSender:
        """Return a new sender: one connection."""
        sender = EmailSender(self)
        self._senders.add(sender)
        return sender

    async def answer(self, challenge_id: str, answer: str, *, resend: bool) -> None:  # noqa: ARG002
        """Refuse: e-mail asks nothing of a person."""
        raise Permanent("no_challenge", "an e-mail account has no login challenge")

    async def check(self, address: str) -> bool | None:  # noqa: ARG002
        """Return None: servers do not say who exists without being sent a message."""
        return None

    async def was_sent(self, key: str, command: SendMessage) -> bool | None:  # noqa: ARG002
        """Return None: SMTP cannot be asked."""
        return None

    async def probe(self) -> None:
        """Truly ask the SMTP server, unless it has answered lately. Raises NeedsLogin, Retry."""
        now = time.monotonic()
        if now - self._proof_at < self.settings.probe_seconds / 2:
            return
        sign_in = now - self._signed_in_at > _SIGN_IN_EVERY_SECONDS
        try:
            await (self._sign_in() if sign_in else self._greet())
        except ConnectError as error:
            if error.kind == "login":
                raise NeedsLogin(error.words) from error
            raise Retry(self.settings.offline_wait_seconds, f"SMTP: {error.words}") from error

    async def _sign_in(self) -> None:
        (await self.connect()).quit()

    async def _greet(self) -> None:
        smtp = self.account.smtp.model_copy(update={"auth": Auth.NONE})
        opened = await connect(
            self.account.model_copy(update={"smtp": smtp}),
            "",
            practice=self.settings.practice,
            timeout=self.settings.connect_timeout_seconds,
        )
        self._proof_at = time.monotonic()
        Wire(opened).quit()

    async def log_out(self) -> None:
        """Do nothing: SMTP and IMAP keep no session."""

    async def close(self) -> None:
        """Close every connection and end the threads."""
        if self._opening:
            self._opening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._opening
        for sender in list(self._senders):
            await sender.close()
        if self._sent_folder:
            await self._sent_folder.close()
        if self._watch:
            await self._watch.close()
