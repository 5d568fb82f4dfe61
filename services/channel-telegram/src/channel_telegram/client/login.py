"""Signing in and out (https://core.telegram.org/api/auth). Every function raises TelegramError and ConnectionLost."""

import asyncio
import re
from typing import Any

from telethon import functions as _functions
from telethon import password as _password
from telethon import types as _types

from channel_telegram.client.connection import Connection
from channel_telegram.client.errors import TelegramError
from channel_telegram.client.parse import person
from channel_telegram.model import CodeSent, Person

_rpc: Any = _functions
_tl: Any = _types
_compute_check: Any = _password.compute_check
_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")


async def send_code(connection: Connection, phone: str) -> CodeSent:
    """Have a login code sent. Asked again within its life, Telegram sends it once more."""
    api_id, api_hash = connection.api
    request = _rpc.auth.SendCodeRequest(phone, api_id, api_hash, _tl.CodeSettings())
    return _code_sent(await connection.call(request))


async def resend_code(connection: Connection, phone: str, code_hash: str) -> CodeSent:
    """Have the code sent the next way."""
    return _code_sent(await connection.call(_rpc.auth.ResendCodeRequest(phone, code_hash)))


async def sign_in(connection: Connection, phone: str, code_hash: str, code: str, *, by_email: bool = False) -> Person:
    """Answer with the code. SESSION_PASSWORD_NEEDED: the password comes next."""
    given = {"email_verification": _tl.EmailVerificationCode(code)} if by_email else {"phone_code": code}
    return _signed_in(await connection.call(_rpc.auth.SignInRequest(phone, code_hash, **given)))


async def password_hint(connection: Connection) -> str:
    """Return the hint its owner gave the two-step password."""
    return (await connection.call(_rpc.account.GetPasswordRequest())).hint or ""


async def check_password(connection: Connection, password: str) -> Person:
    """Answer with the two-step password, which never leaves this process (SRP)."""
    asked = await connection.call(_rpc.account.GetPasswordRequest())
    try:
        proof = await asyncio.to_thread(_compute_check, asked, password)
    except ValueError as error:
        raise TelegramError("PASSWORD_HASH_INVALID") from error
    return _signed_in(await connection.call(_rpc.auth.CheckPasswordRequest(proof)))


async def whoami(connection: Connection, *, timeout_seconds: float | None = None) -> Person:
    """Return who is signed in; truly asks."""
    found = await connection.call(_rpc.users.GetUsersRequest([_tl.InputUserSelf()]), timeout_seconds=timeout_seconds)
    if not found or not isinstance(found[0], _tl.User):
        raise TelegramError("AUTH_KEY_UNREGISTERED", 401)
    return person(found[0])


async def log_out(connection: Connection) -> None:
    """End the login on the platform."""
    await connection.call(_rpc.auth.LogOutRequest())


async def cancel_code(connection: Connection, phone: str, code_hash: str) -> None:
    """Make a code worthless that nobody will answer."""
    await connection.call(_rpc.auth.CancelCodeRequest(phone, code_hash))


def _signed_in(answer: Any) -> Person:
    if isinstance(answer, _tl.auth.AuthorizationSignUpRequired):
        raise TelegramError("PHONE_NUMBER_UNOCCUPIED")
    return person(answer.user)


def _code_sent(answer: Any) -> CodeSent:
    if isinstance(answer, _tl.auth.SentCode):
        how = _words(answer.type, "SentCodeType")
        if how == "set_up_email_required":
            raise TelegramError("EMAIL_SETUP_REQUIRED")
        return CodeSent(
            code_hash=answer.phone_code_hash,
            how=how,
            length=getattr(answer.type, "length", 0) or 0,
            next_how=_words(answer.next_type, "CodeType") if answer.next_type else "",
            resend_after_seconds=answer.timeout or 0,
        )
    raise TelegramError("SENT_CODE_PAYMENT_REQUIRED" if hasattr(answer, "store_product") else "AUTH_RESTART")


def _words(kind: Any, prefix: str) -> str:
    return _CAPITAL.sub("_", type(kind).__name__.removeprefix(prefix)).lower()
