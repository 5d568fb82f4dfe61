"""Connecting to an SMTP server: TCP, TLS, EHLO, AUTH. The only file that imports aiosmtplib."""

import asyncio
import functools
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, cast

import aiosmtplib
from contracts.email import Auth, EmailSettings, Security

Kind = Literal["network", "tls", "refused", "login"]


class ConnectError(Exception):
    """Connecting failed: `kind` says whose trouble it is, the text holds the server's own words."""

    def __init__(self, kind: Kind, step: str, words: str, code: int = 0) -> None:
        super().__init__(words)
        self.kind, self.step, self.words, self.code = kind, step, words, code


@dataclass(frozen=True)
class Opened:
    """A connection that is signed in, given away by aiosmtplib: the transport is the caller's now."""

    transport: asyncio.Transport
    pipelining: bool
    utf8: bool
    size_limit: int


def tls_context(settings: EmailSettings, *, practice: bool) -> ssl.SSLContext:
    """Return the context for SMTP and IMAP; only a practice account may name its own CA or skip the check."""
    return _context(settings.ca_file, settings.verify) if practice else _context(None, verify=True)


@functools.lru_cache(maxsize=64)
def _context(ca_file: str | None, verify: bool) -> ssl.SSLContext:
    """Reading the system's authorities takes 30 ms: once is enough."""
    context = ssl.create_default_context(cafile=ca_file)
    if not verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def connect(
    settings: EmailSettings,
    password: str,
    *,
    practice: bool,
    timeout: float,
    said: Callable[[str, float], None] | None = None,
) -> Opened:
    """Connect, encrypt and sign in within *timeout* seconds. Raises ConnectError.

    *said* hears each step's name and its seconds as it succeeds.
    """
    opening = _Opening(settings, password, tls_context(settings, practice=practice), timeout, said)
    try:
        async with asyncio.timeout(timeout):
            return await opening.run()
    except TimeoutError as error:
        raise ConnectError("network", opening.step, f"no answer within {timeout:g} s") from error
    finally:
        opening.close()


class _Opening:
    """The steps of connecting, each named so that an error says where it happened."""

    def __init__(
        self,
        settings: EmailSettings,
        password: str,
        context: ssl.SSLContext,
        timeout: float,
        said: Callable[[str, float], None] | None,
    ) -> None:
        smtp = settings.smtp
        self._smtp, self._password, self._context, self._said = smtp, password, context, said
        self.step = "connect"
        self._client: aiosmtplib.SMTP | None = aiosmtplib.SMTP(
            hostname=smtp.host,
            port=smtp.port,
            use_tls=smtp.security is Security.TLS,
            start_tls=False,
            tls_context=context if smtp.security is not Security.NONE else None,
            timeout=timeout,
            local_hostname=_own_name(smtp.from_address),
        )

    async def run(self) -> Opened:
        client = self._client
        assert client is not None
        await self._do("connect", client.connect())
        if self._smtp.security is Security.STARTTLS:
            await self._do("tls", client.starttls())
        await self._do("ehlo", client.ehlo())
        if self._smtp.auth is not Auth.NONE:
            await self._do("auth", self._sign_in(client))
        return self._give_away(client)

    async def _sign_in(self, client: aiosmtplib.SMTP) -> object:
        if self._smtp.auth is Auth.XOAUTH2:
            return await client.auth_xoauth2(self._smtp.login, self._password)
        return await client.login(self._smtp.login, self._password)

    async def _do(self, step: str, work: "asyncio.Future[object] | object") -> None:
        self.step, began = step, time.perf_counter()
        try:
            await work  # type: ignore[misc]
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise _translated(error, step) from error
        if self._said:
            self._said(step, time.perf_counter() - began)

    def _give_away(self, client: aiosmtplib.SMTP) -> Opened:
        transport = cast("asyncio.Transport | None", client.transport)  # uvloop's is no subclass of asyncio's
        if transport is None or transport.is_closing():
            raise ConnectError("network", self.step, "the server closed the connection")
        size = client.esmtp_extensions.get("size", "")
        self._client = None
        return Opened(
            transport=transport,
            pipelining=client.supports_extension("pipelining"),
            utf8=client.supports_extension("smtputf8"),
            size_limit=int(size) if size.isdigit() else 0,
        )

    def close(self) -> None:
        if self._client is not None:
            self._client.close()


def _own_name(address: str) -> str:
    """Return the name for EHLO: this machine's own name may be no valid one, and is nobody's business."""
    domain = address.rpartition("@")[2]
    return domain if domain.isascii() else "localhost.localdomain"


def _translated(error: Exception, step: str) -> ConnectError:
    refused = _certificate_error(error)
    if refused:
        return ConnectError("tls", "tls", f"the server's certificate is not trusted: {refused}")
    if isinstance(error, aiosmtplib.SMTPResponseException):
        words = f"{error.code} {error.message}".strip()
        permanent = 500 <= error.code < 600
        kind: Kind = "login" if (step == "auth" and permanent) or error.code in (530, 534, 535) else "refused"
        return ConnectError(kind, step, words, error.code)
    if step == "auth" and isinstance(error, aiosmtplib.SMTPException) and not isinstance(error, OSError):
        return ConnectError("login", step, str(error))  # such as: AUTH is not offered without TLS
    if words := plain_port(error):
        return ConnectError("tls", "tls", words)
    if isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError) or step == "tls":
        return ConnectError("tls", "tls", _words(error))
    return ConnectError("network", step, _words(error))


def plain_port(error: Exception) -> str:
    """Return advice where TLS was begun with a server that expects plain words first, else nothing."""
    if "WRONG_VERSION_NUMBER" not in str(error):
        return ""
    return "the server does not speak SSL/TLS on this port: choose STARTTLS, or the port for SSL/TLS"


def _certificate_error(error: BaseException | None) -> str:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message or str(error)
        error = error.__cause__
    return ""


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
