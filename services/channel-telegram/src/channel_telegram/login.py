"""Logging an account in: the code, the two-step password, and every way this can go wrong.

What is under way is sealed in the vault before anybody is asked, so that a restart goes on with the same challenge. A code
is asked for once per login a person wants; never again by itself.
"""

import re
import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from channelkit.protocol import Host
from contracts.state import Challenge, SessionStatus
from servicekit.clock import utcnow
from servicekit.errors import Permanent

from channel_telegram import login_words as words
from channel_telegram.client import login as client
from channel_telegram.client.connection import Connection
from channel_telegram.client.errors import ConnectionLost, TelegramError
from channel_telegram.link import Link
from channel_telegram.model import CodeSent, Person
from channel_telegram.vaultform import PendingLogin, VaultForm

_ASK_AGAIN_SECONDS = 120.0
_MOST_ASKS = 3
T = TypeVar("T")
_MIGRATE = ("PHONE_MIGRATE", "NETWORK_MIGRATE", "USER_MIGRATE")


class Keeper(Protocol):
    """The account's login, as its session keeps it."""

    form: VaultForm

    async def keep(self, form: VaultForm) -> None:
        """Seal a new form. Raises Conflict, Unavailable."""

    async def end(self, reason: str) -> None:
        """The login is no longer good, or cannot be had: say so, and try nothing until a person asks."""

    async def signed_in(self, person: Person) -> None:
        """The login is complete."""


class Login:
    """One account's login, from the first code to the last answer."""

    def __init__(self, host: Host, link: Link, keeper: Keeper) -> None:
        self._host, self._link, self._keeper = host, link, keeper

    async def waits(self) -> bool:
        """Return, and say, that no code may be asked for yet."""
        form = self._keeper.form
        if form.not_before is None or form.not_before <= utcnow() or form.pending:
            return False
        told = words.asked_without_answer(form.not_before) if form.asks else words.wait_until(form.not_before)
        await self._host.report(SessionStatus.FAILED, told)
        return True

    async def begin(self) -> None:
        """Have a code sent, and ask for it. Raises ConnectionLost, TelegramError (of the login's end: none)."""
        form = self._keeper.form
        if form.asks >= _MOST_ASKS:
            await self._keeper.end("Telegram gave no answer when it was asked for a login code: log in again")
            return
        pause = timedelta(seconds=_ASK_AGAIN_SECONDS * 2**form.asks)
        connection = self._link.current
        form = form.at(connection.place, connection.key)
        await self._keeper.keep(form.model_copy(update={"asks": form.asks + 1, "not_before": utcnow() + pause}))
        try:
            sent = await self._migrating(lambda at: client.send_code(at, form.phone))
        except TelegramError as error:
            await self._not_sent(error)
            return
        await self._asked(sent)

    async def ask(self) -> None:
        """Show again what is asked already."""
        pending = self._keeper.form.pending
        assert pending is not None
        kind = "code" if pending.step == "code" else "password"
        status = SessionStatus.AWAITING_CODE if kind == "code" else SessionStatus.AWAITING_PASSWORD
        challenge = Challenge(
            id=pending.challenge_id,
            kind=kind,
            hint=pending.hint,
            expires_at=pending.expires_at,
            resend_after=pending.resend_after,
        )
        reason = "the code has expired: have a new one sent" if pending.expired else ""
        await self._host.report(status, reason, challenge=challenge)

    async def answer(self, challenge_id: str, answer: str, *, resend: bool) -> None:
        """Take a person's answer. Raises Permanent saying what was wrong with it; the challenge stays."""
        pending = self._keeper.form.pending
        if pending is None or pending.challenge_id != challenge_id:
            raise Permanent("stale_challenge", "this is no longer asked")
        try:
            if resend:
                await self._resend(pending)
            elif pending.step == "code":
                await self._code(pending, answer)
            else:
                await self._password(answer)
        except TelegramError as error:
            raise await self._refused(error) from error
        except ConnectionLost as error:
            raise Permanent("no_connection", "Telegram did not answer: try again in a moment") from error

    async def _code(self, pending: PendingLogin, answer: str) -> None:
        phone, code = self._keeper.form.phone, re.sub(r"[\s-]", "", answer)
        if not code:
            raise Permanent("wrong_code", "the code is empty")
        try:
            person = await self._migrating(
                lambda at: client.sign_in(at, phone, pending.code_hash, code, by_email=pending.by_email)
            )
        except TelegramError as error:
            if error.name != "SESSION_PASSWORD_NEEDED":
                raise
            hint = await client.password_hint(self._link.current)
            await self._ask_anew(pending, step="password", hint=hint, resend_after=None, expired=False)
            return
        await self._keeper.signed_in(person)

    async def _password(self, answer: str) -> None:
        await self._keeper.signed_in(await client.check_password(self._link.current, answer))

    async def _resend(self, pending: PendingLogin) -> None:
        if pending.step != "code":
            raise Permanent("no_resend", "a password is not sent")
        now = utcnow()
        if pending.resend_after is not None and now < pending.resend_after:
            seconds = int((pending.resend_after - now).total_seconds()) + 1
            raise Permanent("resend_too_early", f"a new code can be sent in {seconds} s")
        form, connection = self._keeper.form, self._link.current
        try:
            sent = await client.resend_code(connection, form.phone, pending.code_hash)
        except TelegramError as error:
            if error.name not in words.EXPIRED:
                raise
            sent = await self._migrating(lambda at: client.send_code(at, form.phone))
        await self._asked(sent)

    async def _asked(self, sent: CodeSent) -> None:
        now, form = utcnow(), self._keeper.form
        after = now + timedelta(seconds=sent.resend_after_seconds)
        pending = PendingLogin(
            challenge_id=secrets.token_hex(8),
            code_hash=sent.code_hash,
            hint=words.code_hint(sent),
            by_email=sent.how == "email_code",
            asked_at=now,
            resend_after=after,
        )
        connection = self._link.current
        form = form.at(connection.place, connection.key)
        await self._keeper.keep(form.model_copy(update={"pending": pending, "not_before": None, "asks": 0}))
        await self.ask()

    async def _ask_anew(self, pending: PendingLogin, **changes: object) -> None:
        changed = pending.model_copy(update={"challenge_id": secrets.token_hex(8), **changes})
        await self._keeper.keep(self._keeper.form.model_copy(update={"pending": changed}))
        await self.ask()

    async def _refused(self, error: TelegramError) -> Permanent:
        """Return what a person hears of a refused answer."""
        pending = self._keeper.form.pending
        if error.name in words.EXPIRED and pending is not None:
            await self._ask_anew(pending, expired=True, resend_after=utcnow())
            return Permanent("expired_code", "the code has expired: have a new one sent")
        if error.name in words.WRONG:
            return Permanent(*words.WRONG[error.name])
        if error.code == 420:
            return Permanent("too_many_tries", words.wait_until(_after(error)))
        if error.name in words.HOPELESS:
            await self._keeper.end(words.HOPELESS[error.name])
            return Permanent(words.reason(error.name), words.HOPELESS[error.name])
        return Permanent(words.reason(error.name), error.words)

    async def _not_sent(self, error: TelegramError) -> None:
        if error.code == 420:
            await self._keeper.keep(self._keeper.form.model_copy(update={"not_before": _after(error), "asks": 0}))
            await self._host.report(SessionStatus.FAILED, words.wait_until(_after(error)))
        elif error.name in words.OPERATORS:
            await self._keeper.keep(self._keeper.form.model_copy(update={"not_before": None, "asks": 0}))
            await self._host.report(SessionStatus.FAILED, words.OPERATORS[error.name])
        elif error.code >= 500:
            await self._host.report(SessionStatus.FAILED, f"Telegram could not send a code now: {error.words}")
        else:
            told = words.HOPELESS.get(error.name, f"Telegram sends no code to this number: {error.words}")
            await self._keeper.end(told)

    async def _migrating(self, request: Callable[[Connection], Awaitable[T]]) -> T:
        """Ask; where the number lives in another data centre, ask there."""
        try:
            return await request(self._link.current)
        except TelegramError as error:
            if error.name not in _MIGRATE:
                raise
            place = await self._link.current.place_of(error.number)
            connection = await self._link.move(place)
            await self._keeper.keep(self._keeper.form.at(connection.place, connection.key))
            return await request(connection)


def _after(error: TelegramError) -> datetime:
    return utcnow() + timedelta(seconds=max(1, error.number))
