"""[Test SMTP]: resolve, connect, TLS and sign-in of both servers, each a step with the server's words and its time."""

import asyncio
import socket
import time
from collections.abc import Iterable

from channelkit.protocol import Credentials
from contracts.email import Auth, EmailSettings, Security
from contracts.requests import TestStep

from channel_email.client import ConnectError, connect
from channel_email.imap import ImapError, Mailbox
from channel_email.pipeline import Wire
from channel_email.settings import Settings

_WORDS = {
    "connect": "connected",
    "tls": "encrypted",
    "auth": "signed in",
}


async def test_settings(account: EmailSettings, credentials: Credentials, settings: Settings) -> list[TestStep]:
    """Return the steps up to the first failure of each server."""
    smtp, imap = await asyncio.gather(_smtp(account, credentials, settings), _imap(account, credentials, settings))
    return [*smtp, *imap]


test_settings.__test__ = False  # type: ignore[attr-defined]  # pytest would collect it


async def _smtp(account: EmailSettings, credentials: Credentials, settings: Settings) -> list[TestStep]:
    steps = [await _resolve("smtp", account.smtp.host, account.smtp.port)]
    if not steps[0].ok:
        return steps
    began = time.perf_counter()

    def said(step: str, seconds: float) -> None:
        if step == "connect" and account.smtp.security is Security.TLS:
            steps.append(_step("smtp tls", seconds, "connected and encrypted"))
        elif step in _WORDS:
            steps.append(_step(f"smtp {step}", seconds, _WORDS[step]))

    try:
        opened = await connect(
            account,
            credentials.values.get("smtp_password", ""),
            practice=settings.practice,
            timeout=settings.connect_timeout_seconds,
            said=said,
        )
    except ConnectError as error:
        seconds = time.perf_counter() - began
        return [*steps, TestStep(name=f"smtp {error.step}", ok=False, detail=error.words, seconds=seconds)]
    Wire(opened).quit()
    if account.smtp.auth is Auth.NONE:
        steps.append(_step("smtp auth", 0, "not asked for"))
    return steps


async def _imap(account: EmailSettings, credentials: Credentials, settings: Settings) -> list[TestStep]:
    if account.imap is None:
        return []
    resolved = await _resolve("imap", account.imap.host, account.imap.port)
    if not resolved.ok:
        return [resolved]
    password = credentials.values.get("imap_password") or credentials.values.get("smtp_password", "")
    return [resolved, *await asyncio.to_thread(_imap_steps, account, password, settings)]


def _imap_steps(account: EmailSettings, password: str, settings: Settings) -> list[TestStep]:
    began = time.perf_counter()
    steps: list[TestStep] = []

    def said(step: str, seconds: float) -> None:
        steps.append(_step(f"imap {step}", seconds, _WORDS[step]))

    try:
        box = Mailbox.connect(
            account, password, practice=settings.practice, timeout=settings.imap_timeout_seconds, said=said
        )
        steps += _folders(account, box)
        box.close()
    except ImapError as error:
        seconds = time.perf_counter() - began
        steps.append(TestStep(name=f"imap {error.step}", ok=False, detail=error.words, seconds=seconds))
    return steps


def _folders(account: EmailSettings, box: Mailbox) -> Iterable[TestStep]:
    assert account.imap is not None
    began = time.perf_counter()
    watched, absent = box.watched(account.imap.folders)
    detail = f"watched: {', '.join(watched) or 'none'}" + (f"; absent: {', '.join(absent)}" if absent else "")
    return [TestStep(name="imap folders", ok=bool(watched), detail=detail, seconds=time.perf_counter() - began)]


async def _resolve(server: str, host: str, port: int) -> TestStep:
    began = time.perf_counter()
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return TestStep(
            name=f"{server} resolve", ok=False, detail=f"{host}: {error}", seconds=time.perf_counter() - began
        )
    addresses = ", ".join(dict.fromkeys(str(one[4][0]) for one in found))
    return _step(f"{server} resolve", time.perf_counter() - began, addresses)


def _step(name: str, seconds: float, detail: str) -> TestStep:
    return TestStep(name=name, ok=True, detail=detail, seconds=seconds)
