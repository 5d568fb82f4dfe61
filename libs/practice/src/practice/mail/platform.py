"""The practice mail system: SMTP, IMAP and an API over one memory, in one process."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from practice.mail.accounts import Accounts
from practice.mail.api import build_api
from practice.mail.archive import Archive
from practice.mail.faults import FaultName, Faults
from practice.mail.handler import MailHandler
from practice.mail.imap import ImapServers, PracticeLogin, imap_config
from practice.mail.journal import Journal
from practice.mail.mailboxes import Mailboxes
from practice.mail.reactions import Reactions
from practice.mail.settings import MailSettings
from practice.mail.smtp import StrictSMTP
from practice.mail.tls import make_certificate, server_context
from practice.platform import ApiPorts, Platform


@dataclass(frozen=True, slots=True)
class Ports(ApiPorts):
    """Where a running platform listens; `cert_file` is what its TLS clients must trust."""

    smtp: int
    smtps: int
    imap: int
    imaps: int
    cert_file: str


class MailPlatform(Platform[Ports]):
    """`async with MailPlatform(MailSettings()) as platform:` listens until the block ends."""

    def __init__(self, settings: MailSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or MailSettings()

    async def _start(self) -> Ports:
        settings = self.settings
        folder = settings.tls_folder or self._stack.enter_context(TemporaryDirectory(prefix="practice-mail-"))
        cert = make_certificate(Path(folder), settings.host, settings.domain)
        self.context = server_context(cert)
        self._build()
        self._stack.push_async_callback(self.reactions.stop)
        self.reactions.start()
        listening = self._bind(settings.host, settings.api_port)
        ports = Ports(
            host=settings.host,
            smtp=await self._listen_smtp(settings.smtp_port, implicit_tls=False),
            smtps=await self._listen_smtp(settings.smtps_port, implicit_tls=True),
            imap=await self.imap.listen(settings.host, settings.imap_port, implicit_tls=False),
            imaps=await self.imap.listen(settings.host, settings.imaps_port, implicit_tls=True),
            api=listening.getsockname()[1],
            cert_file=str(cert),
        )
        self._serve(build_api(self), listening)
        return ports

    def _build(self) -> None:
        settings = self.settings
        self.accounts = Accounts(settings.domain, auto=settings.auto_accounts)
        self.archive = Archive(settings.keep_contents, settings.keep_content_bytes)
        self.journal = Journal()
        config = imap_config(self.context, starttls=True)
        config.apply_context()
        self.mailboxes = Mailboxes(self.accounts, config)
        self.reactions = Reactions(self.mailboxes.deliver, settings.reply_delay_seconds)
        self.handler = MailHandler(self.accounts, self.archive, self.journal, self.mailboxes, self.reactions)
        login = PracticeLogin(config, self.accounts, self.mailboxes, self._refuses_imap)
        self.imap = ImapServers(login, self.context, self._imap_is_down)
        self._stack.push_async_callback(self.imap.stop)

    def _refuses_imap(self, address: str) -> bool:
        return self.handler.faults.hit_service(FaultName.REFUSE_AUTH, "imap", address) is not None

    def _imap_is_down(self) -> bool:
        return self.handler.faults.hit_service(FaultName.DOWN, "imap") is not None

    def _connection(self, *, implicit_tls: bool) -> StrictSMTP:
        settings = self.settings
        return StrictSMTP(
            self.handler,
            implicit_tls=implicit_tls,
            tls_context=self.context,
            hostname=settings.domain,
            ident="practice ESMTP",
            data_size_limit=settings.size_limit_bytes,
            enable_SMTPUTF8=True,
            auth_required=not settings.allow_no_auth,
            allow_plain_auth=settings.allow_plain_auth,
            loop=asyncio.get_running_loop(),
        )

    async def _listen_smtp(self, port: int, *, implicit_tls: bool) -> int:
        server = await asyncio.get_running_loop().create_server(
            lambda: self._connection(implicit_tls=implicit_tls),
            self.settings.host,
            port,
            ssl=self.context if implicit_tls else None,
        )
        self._stack.callback(self.drop_smtp)
        self._stack.callback(server.close)
        return int(server.sockets[0].getsockname()[1])

    def drop_smtp(self) -> int:
        """Cut all SMTP connections and return how many there were."""
        servers = list(self.handler.servers)
        for server in servers:
            server.abort()
        return len(servers)

    def reset(self, *, mailboxes: bool = True) -> None:
        """Forget what happened and lift all faults; accounts stay, their mailboxes are emptied if asked."""
        self.handler.faults = Faults()
        self.archive.clear()
        self.journal.clear()
        self.reactions.clear()
        if mailboxes:
            self.mailboxes.clear()
            self.imap.drop_connections()
