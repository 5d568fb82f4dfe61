"""IMAP: pymap's server on our accounts, in the clear (with STARTTLS) and over TLS."""

import asyncio
import logging
import ssl
from argparse import Namespace
from collections.abc import Callable

from proxyprotocol.sock import SocketInfoLocal
from pymap.backend.dict import Config, Identity, Login
from pymap.concurrent import Subsystem
from pymap.exceptions import AuthorizationFailure, InvalidAuth
from pymap.imap import IMAPServer
from pymap.interfaces.login import IdentityInterface
from pymap.user import UserMetadata
from pysasl import SASLAuth
from pysasl.creds.external import ExternalVerificationRequired
from pysasl.creds.server import ServerCredentials
from pysasl.hashing import Cleartext

from practice.mail.accounts import Accounts
from practice.mail.mailboxes import Mailboxes

log = logging.getLogger(__name__)


class PracticeConfig(Config):
    """pymap's settings with XOAUTH2 beside PLAIN and LOGIN."""

    @property
    def tls_auth(self) -> SASLAuth:
        """What may be used to sign in once the connection is encrypted, or comes from this machine."""
        return SASLAuth.named([b"PLAIN", b"LOGIN", b"XOAUTH2"])


def imap_config(context: ssl.SSLContext, *, starttls: bool) -> PracticeConfig:
    """Return pymap's settings; without `starttls` the port is encrypted from the start."""
    return PracticeConfig(
        Namespace(passlib_cfg=None, proxy_protocol=None),
        demo_data=False,
        demo_user="",
        demo_password="",
        host=None,
        port=0,
        ssl_context=context,
        tls_enabled=starttls,
        hash_context=Cleartext(),
        cpu_subsystem=Subsystem.for_asyncio(),
        invalid_user_sleep=0,
        reject_dnsbl=False,
    )


class PracticeLogin(Login):
    """pymap's login on the platform's own accounts, by local part or full address."""

    def __init__(
        self, config: Config, accounts: Accounts, mailboxes: Mailboxes, refuses: Callable[[str], bool]
    ) -> None:
        super().__init__(config)
        self._accounts, self._mailboxes, self._refuses = accounts, mailboxes, refuses

    async def authenticate(self, credentials: ServerCredentials) -> Identity:
        """Check password or token. Raises pymap's InvalidAuth."""
        # XOAUTH2 names its user as authzid alone
        address = self._accounts.address(credentials.authcid or credentials.authzid)
        if self._refuses(address) or not self._opens(credentials):
            raise InvalidAuth
        self._mailboxes.of(address)
        self.users_dict[address] = UserMetadata(self.config, address)
        return Identity(address, self, None, frozenset())

    def _opens(self, credentials: ServerCredentials) -> bool:
        account = self._accounts.lookup(credentials.authcid)
        password = account.password if account else None
        try:
            fits = credentials.verify(UserMetadata(self.config, credentials.authcid, password=password))
        except ExternalVerificationRequired as token:
            return self._accounts.check_token(credentials.authzid, token.token or "") is not None
        return fits and self._accounts.keep(account)

    async def authorize(self, authenticated: IdentityInterface, authzid: str) -> Identity:
        """Let everybody be themselves. Raises pymap's AuthorizationFailure for anyone else."""
        if authenticated.name != self._accounts.address(authzid):
            raise AuthorizationFailure
        return Identity(authenticated.name, self, None, frozenset())


class WholeResponses(asyncio.StreamWriter):
    """Sends each IMAP response in one piece.

    pymap writes a response in many small ones; a client that reads IDLE without blocking, as imap-tools
    does, then takes half a line for a whole one and gives up.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        protocol = writer.transport.get_protocol()
        super().__init__(writer.transport, protocol, reader, asyncio.get_running_loop())
        self._pieces: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep a piece until the response is complete."""
        self._pieces.append(bytes(data))

    async def drain(self) -> None:
        """Send what was kept: pymap drains after each response. Raises ConnectionResetError."""
        if self.is_closing():
            raise ConnectionResetError
        super().write(b"".join(self._pieces))
        self._pieces.clear()
        await super().drain()


class ImapServers:
    """The two IMAP ports and the connections on them."""

    def __init__(self, login: PracticeLogin, context: ssl.SSLContext, is_down: Callable[[], bool]) -> None:
        self._login, self._context, self._is_down = login, context, is_down
        self._writers: set[asyncio.StreamWriter] = set()
        self._servers: list[asyncio.Server] = []

    async def listen(self, host: str, port: int, *, implicit_tls: bool) -> int:
        """Listen on a port (0 picks a free one) and return it."""
        config = imap_config(self._context, starttls=not implicit_tls)
        serve = IMAPServer(self._login, config)

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if self._is_down():
                writer.transport.abort()
                return
            self._writers.add(writer)
            try:
                await serve(reader, WholeResponses(reader, writer), SocketInfoLocal(writer))
            except (ConnectionError, EOFError, ssl.SSLError):
                log.debug("an IMAP client left in the middle of a command")
            finally:
                self._writers.discard(writer)

        server = await asyncio.start_server(connected, host, port, ssl=self._context if implicit_tls else None)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    def drop_connections(self) -> int:
        """Cut all connections and return how many there were."""
        writers = list(self._writers)
        for writer in writers:
            writer.transport.abort()
        return len(writers)

    async def stop(self) -> None:
        """Close ports and connections."""
        for server in self._servers:
            server.close()
        self.drop_connections()
