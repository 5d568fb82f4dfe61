# ruff: noqa: N802 # aiosmtpd finds commands and hooks by these names
"""aiosmtpd's SMTP with the strictness of a careful provider and the speed of a busy one."""

import asyncio
import base64
import logging
import re
import ssl
from typing import Any, Protocol, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session, TLSSetupException, auth_mechanism

from practice.mail.journal import Connection
from practice.mail.wire import LineBuffer, ProtocolViolationError, TooLargeError, checked_content

log = logging.getLogger(__name__)

#: RFC 2920 section 3.1: these may only end a group; STARTTLS (RFC 3207) and AUTH (RFC 4954) likewise.
ENDS_GROUP = frozenset({"EHLO", "HELO", "DATA", "VRFY", "EXPN", "HELP", "QUIT", "NOOP", "STARTTLS", "AUTH"})
#: RFC 5321 section 4.5.3.1.4, with room for the parameters of extensions.
COMMAND_LIMIT = 1_024
COMMAND_LIMITS = {"AUTH": 12_288}
_ADDRESS = re.compile(r"\s*<([\w.!#$%&'*+/=?^`{|}~-]+@[\w.-]+)>(?: (.*))?", re.ASCII)


class Hooks(Protocol):
    """What the platform does with SMTP's steps: aiosmtpd's handler, and three hooks of ours."""

    async def handle_EHLO(
        self, server: Any, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """Return the lines that announce what the server can do."""
        ...

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        """Judge the credentials; `data` is LoginPassword, for XOAUTH2 with the token as password."""
        ...

    def opened(self, server: "StrictSMTP") -> bool:
        """Take note of a connection; False closes it at once."""
        ...

    def closed(self, server: "StrictSMTP") -> None:
        """Take note of the end of a connection."""
        ...

    def violated(self, server: "StrictSMTP", kind: str) -> None:
        """Take note of a breach of the protocol."""
        ...


class StrictSMTP(SMTP):
    """One SMTP connection: commands and STARTTLS and AUTH are aiosmtpd's, the reading of bytes is ours.

    Replies are gathered while whole groups are worked through and leave when the client must be waited
    for, as RFC 2920 advises.
    """

    def __init__(
        self, hooks: Hooks, *, implicit_tls: bool = False, allow_plain_auth: bool = False, **options: Any
    ) -> None:
        super().__init__(hooks, authenticator=hooks.authenticate, **options)
        # set after the fact: aiosmtpd would warn of it at every connection
        self._auth_require_tls = not allow_plain_auth
        self.hooks = hooks
        self.connection = Connection(0, "", 0)
        self.implicit_tls = implicit_tls
        self.gone = asyncio.Event()
        self._replies: list[bytes] = []

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return bool(self._tls_protocol)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin a connection, unless the platform plays dead."""
        if self.implicit_tls:
            self._tls_protocol = transport.get_extra_info("ssl_object")
        super().connection_made(transport)
        if not self.hooks.opened(self):
            self.abort()

    def connection_lost(self, error: Exception | None) -> None:
        """End a connection; content that came whole is still taken, as a real server would.

        aiosmtpd's own cancels the work in progress, which would lose or keep the last message by chance.
        """
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()
        self._incoming.feed_eof()
        asyncio.StreamReaderProtocol.connection_lost(self, error)
        self.transport = None
        self.gone.set()
        self.hooks.closed(self)

    def eof_received(self) -> bool:
        """The client has said all it had to say; our answers may still leave, except over TLS."""
        self._incoming.feed_eof()
        return not self.tls

    def abort(self) -> None:
        """Cut the connection without a word."""
        if self.transport is not None:
            self.transport.abort()  # type: ignore[attr-defined]

    def _cb_client_connected(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._incoming = LineBuffer(cast("asyncio.Transport", writer.transport), self.flush)
        self._reader = self._incoming  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Keep what arrived until a command asks for it."""
        self._incoming.feed(data)

    def flush(self) -> None:
        """Send the gathered replies."""
        if self._replies and self.transport is not None and not self.transport.is_closing():
            self._writer.write(b"".join(self._replies))
        self._replies.clear()

    async def push(self, status: str | bytes) -> None:
        """Answer; the reply leaves once nothing of the client's group is left to read. 421 hangs up."""
        reply = status if isinstance(status, bytes) else status.encode("utf-8", "surrogateescape")
        self._replies.append(reply + b"\r\n")
        if not self._incoming.pending:
            self.flush()
            await self._writer.drain()
        if reply.startswith(b"421"):
            self.close()

    async def _handle_client(self) -> None:
        await self.push(f"220 {self.hostname} {self.__ident__}")
        while self.transport is not None and not self.transport.is_closing():
            try:
                await self._obey(await self._reader.readline())
            except ProtocolViolationError as violation:
                await self.refuse_and_close(violation.kind, violation.answer)
            except TLSSetupException:
                self.abort()
            except ConnectionError:
                break
            except Exception:
                log.exception("the practice mail server failed")
                await self.push("451 4.3.0 The practice server failed; see its log")
        self.close()

    async def _obey(self, line: bytes) -> None:
        verb, _, argument = line[:-2].partition(b" ")
        command = verb.decode("ascii", "replace").upper()
        method = self._smtp_methods.get(command)
        if method is None:
            await self.push("500 5.5.1 Command not recognized")
            return
        if command in ENDS_GROUP and self._incoming.pending:
            raise ProtocolViolationError(
                f"{command} was not the last command of its group", "503 5.5.0 Improper use of SMTP command pipelining"
            )
        if len(line) > COMMAND_LIMITS.get(command, COMMAND_LIMIT):
            await self.push("500 5.5.2 Line too long")
            return
        self._reset_timeout()
        await method(argument.decode("utf-8", "surrogateescape").strip() or None)

    async def refuse_and_close(self, kind: str, answer: str) -> None:
        """Record a violation, answer, and hang up: what follows cannot be trusted."""
        self.hooks.violated(self, kind)
        await self.push(answer)
        self.close()

    def close(self) -> None:
        """Send what was answered and hang up."""
        self.flush()
        if self.transport is not None:
            self.transport.close()

    async def smtp_QUIT(self, arg: str | None) -> None:
        """Say good-bye; aiosmtpd's own would cancel this task before the reply left."""
        await self.push("501 Syntax: QUIT" if arg else "221 2.0.0 Bye")
        if not arg:
            self.close()

    async def smtp_STARTTLS(self, arg: str | None) -> None:
        """Encrypt the connection through the loop's own TLS, which asyncio and uvloop both have."""
        if arg or self.tls or self.tls_context is None:
            await self.push("501 Syntax: STARTTLS" if arg else "454 4.7.0 TLS not available")
            return
        await self.push("220 2.0.0 Ready to start TLS")
        try:
            encrypted = await self.loop.start_tls(self._writer.transport, self, self.tls_context, server_side=True)
        except (OSError, ssl.SSLError) as error:
            raise TLSSetupException from error
        if encrypted is None:
            raise TLSSetupException
        self._use_transport(encrypted)

    def _use_transport(self, encrypted: asyncio.Transport) -> None:
        """RFC 3207 section 4.2: nothing learnt before TLS survives."""
        self.transport = encrypted
        self._incoming.use(encrypted)
        self._writer._transport = encrypted  # type: ignore[attr-defined] # noqa: SLF001
        self._tls_protocol = encrypted.get_extra_info("ssl_object")
        self._set_rset_state()  # type: ignore[no-untyped-call]
        self.session = self._create_session()
        self.session.peer = encrypted.get_extra_info("peername")

    async def smtp_AUTH(self, arg: str | None) -> None:
        """Refuse, and record, credentials that came in the clear."""
        if self._auth_require_tls and not self.tls:
            self.hooks.violated(self, "AUTH without TLS")
        await super().smtp_AUTH(arg or "")

    @auth_mechanism("XOAUTH2")
    async def auth_XOAUTH2(self, _server: SMTP, args: list[str]) -> AuthResult:
        """Take `user=…^Aauth=Bearer …^A^A`, as Gmail and Microsoft 365 do."""
        given: Any = base64.b64decode(args[1]) if len(args) > 1 else await self.challenge_auth("")
        found = re.fullmatch(rb"user=([^\x01]*)\x01auth=Bearer ([^\x01]*)\x01\x01", given or b"")
        if not found:
            return AuthResult(success=False, handled=False, message="535 5.7.8 Malformed XOAUTH2 response")
        return self._authenticate("XOAUTH2", LoginPassword(found.group(1), found.group(2)))

    async def smtp_DATA(self, arg: str | None) -> None:
        """Take a message, strictly; the hook handle_DATA answers it."""
        if await self.check_helo_needed() or await self.check_auth_needed("DATA"):
            return
        assert self.envelope is not None
        if arg or not self.envelope.rcpt_tos:
            await self.push("501 Syntax: DATA" if arg else "503 5.5.1 Error: need RCPT command")
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        try:
            self.envelope.content = checked_content(await self._incoming.read_content(self.data_size_limit or 0))
            answer = await self._call_handler_hook("DATA")
        except TooLargeError:
            answer = "552 5.3.4 Message too big"
        except ProtocolViolationError as violation:
            self.hooks.violated(self, violation.kind)
            answer = violation.answer
        self._set_post_data_state()  # type: ignore[no-untyped-call]
        if self.transport is not None:
            await self.push(answer)

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        """Read the common address quickly; the standard library's parser takes all others."""
        found = _ADDRESS.fullmatch(arg)
        return (found.group(1), found.group(2) or "") if found else super()._getaddr(arg)
