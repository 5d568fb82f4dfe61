"""One SMTP connection of an account: sends one message after another, the next envelope riding along."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from channelkit.protocol import NotClaimed, OutcomeUnknown, Outgoing
from contracts.commands import SendMessage
from servicekit.errors import Permanent, Retry

from channel_email.client import ConnectError
from channel_email.mime import Composed
from channel_email.pipeline import ConnectionLost, Transaction, Wire, stuffed
from channel_email.settings import Settings
from channel_email.verdicts import Reply, Trouble

_LOST_RETRY_SECONDS = 20.0
_TRY_NEW_CONNECTION = {421, 503}
"""On a connection that was used before: its own limit, or a state we do not share; a new one may go on."""


class Account(Protocol):
    """What a sender needs of its session."""

    settings: Settings
    trouble: Trouble
    messages_per_connection: int
    send_timeout_seconds: float

    async def connect(self) -> Wire:
        """Open a connection. Raises ConnectError."""
        ...

    async def compose(self, command: SendMessage) -> Composed:
        """Return the message, its attachments fetched. Raises Permanent, Unavailable."""
        ...

    def compose_now(self, command: SendMessage) -> Composed | None:
        """Return the message where nothing must be fetched for it. Raises Permanent."""
        ...

    def sent(self, command: SendMessage, composed: Composed) -> None:
        """Hear that a message was accepted."""
        ...


class EmailSender:
    """Implements protocol.Sender."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._wire: Wire | None = None
        self._riding: tuple[SendMessage, Composed, Transaction] | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._resting_since: float | None = None
        self._loop = asyncio.get_running_loop()

    async def send(self, out: Outgoing, following: Callable[[], Outgoing | None]) -> Sequence[str]:
        """Send one message; see protocol.Sender for the errors. At most one content is out and undecided."""
        self._busy()
        try:
            composed, transaction = await self._opened(out.command)
            await self._claim(out)
            await self._content(out.command, composed, transaction, following)
        except (NotClaimed, Permanent, Retry):
            raise
        except BaseException:
            # Cancelled, or the account's trouble: nothing may be left open that a later message could end up in.
            self._drop("given up")
            raise
        finally:
            self._at_rest()
        return [composed.message_id]

    async def abandon(self) -> None:
        """Drop the connection if an envelope rode along: nothing of it was sent."""
        if self._riding is not None:
            self._drop("abandoned")

    async def close(self) -> None:
        """Close the connection."""
        self._busy()
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._riding is not None:
            self._drop("closed")
        elif self._wire is not None:
            self._wire.quit()
            self._wire = None

    async def _opened(self, command: SendMessage) -> tuple[Composed, Transaction]:
        """Return the message with its envelope accepted. Raises Permanent, Retry, NeedsLogin, Restricted."""
        riding, self._riding = self._riding, None
        if riding is not None and (riding[0] is not command or not riding[2].wire.usable):
            self._drop("an envelope that can be of no use is open")
            riding = None
        composed = riding[1] if riding else await self._account.compose(command)
        for last in (False, True):
            wire = await self._connected()
            self._check(wire, composed)
            reused = wire.transactions > 0
            transaction = riding[2] if riding else self._transaction(wire, composed)
            riding = None
            try:
                mail, rcpt = await transaction.begin()
            except (ConnectionLost, TimeoutError) as error:
                self._drop(str(error))
                if last or not reused:
                    # Without its cause: a silent server may mean this recipient alone, so that a try is counted.
                    raise Retry(_LOST_RETRY_SECONDS, f"connection lost before the content: {_text(error)}") from None
                continue
            refusal = mail or rcpt
            if refusal is None:
                return composed, transaction
            if refusal.code in _TRY_NEW_CONNECTION and reused and not last:
                self._drop(refusal.words)
                continue
            raise self._judged(command, transaction, refusal, of_sender=mail is not None)
        raise AssertionError("unreachable")

    def _judged(self, command: SendMessage, transaction: Transaction, refusal: Reply, *, of_sender: bool) -> Exception:
        trouble = self._account.trouble
        if refusal.code == 421 or not transaction.wire.usable:
            self._drop(refusal.words)
        return trouble.sender(refusal) if of_sender else trouble.recipient(refusal, command.row, command.tries)

    async def _claim(self, out: Outgoing) -> None:
        try:
            await out.claim()
        except BaseException:
            # The server waits for a content that must not come: only the end of the connection says so.
            self._drop("not claimed")
            raise

    async def _content(
        self,
        command: SendMessage,
        composed: Composed,
        transaction: Transaction,
        following: Callable[[], Outgoing | None],
    ) -> None:
        wire = transaction.wire
        content = stuffed(composed.raw)
        self._riding = self._next(wire, following)
        try:
            if self._riding:
                self._riding[2].ride_along(content)
            else:
                wire.write(content, 1)
        except ConnectionLost as error:
            self._drop("lost")
            raise Retry(_LOST_RETRY_SECONDS, f"connection lost before the content: {_text(error)}") from error
        try:
            with wire.deadline(self._account.send_timeout_seconds):
                reply = await wire.reply()
        except (ConnectionLost, TimeoutError) as error:
            self._drop("no answer to the content")
            raise OutcomeUnknown(f"no answer to the content: {_text(error)}") from error
        if reply.ok:
            self._account.trouble.over()
            self._account.sent(command, composed)
            return
        if reply.code == 421:
            self._drop(reply.words)
        if reply.code < 400:
            raise OutcomeUnknown(f"an answer that makes no sense: {reply.words}")
        raise self._account.trouble.recipient(reply, command.row, command.tries)

    def _next(
        self, wire: Wire, following: Callable[[], Outgoing | None]
    ) -> tuple[SendMessage, Composed, Transaction] | None:
        """Reserve the next message where its envelope can ride along."""
        if not wire.pipelining or wire.transactions >= self._account.messages_per_connection:
            return None
        out = following()
        if out is None:
            return None
        try:
            composed = self._account.compose_now(out.command)
            if composed is None:
                return None
            self._check(wire, composed)
        except Permanent:
            return None  # its own `send` says so, in its turn
        return out.command, composed, self._transaction(wire, composed)

    def _transaction(self, wire: Wire, composed: Composed) -> Transaction:
        return Transaction(wire, composed.envelope, self._account.settings.command_timeout_seconds)

    def _check(self, wire: Wire, composed: Composed) -> None:
        if composed.envelope.needs_utf8 and not wire.utf8:
            raise Permanent("address_needs_smtputf8", "the server takes no addresses outside ASCII")
        if wire.size_limit and len(composed.raw) > wire.size_limit:
            raise Permanent("too_large", f"{len(composed.raw)} bytes; the server takes {wire.size_limit}")

    async def _connected(self) -> Wire:
        if self._wire is not None and self._wire.transactions >= self._account.messages_per_connection:
            self._wire.quit()
            self._wire = None
        if self._wire is None or not self._wire.usable:
            self._wire = None
            try:
                self._wire = await self._account.connect()
            except ConnectError as error:
                raise self._account.trouble.connecting(error) from error
        return self._wire

    def _drop(self, why: str) -> None:
        wire, self._wire, self._riding = self._wire, None, None
        if wire is not None:
            wire.drop(why)

    def _busy(self) -> None:
        self._resting_since = None

    def _at_rest(self) -> None:
        """Close an unused connection some time later; one timer serves many messages."""
        self._resting_since = self._loop.time()
        if self._idle is None:
            self._idle = self._loop.call_later(self._account.settings.idle_close_seconds, self._close_idle)

    def _close_idle(self) -> None:
        self._idle = None
        if self._resting_since is None:
            return  # busy: it comes to rest again
        closes_at = self._resting_since + self._account.settings.idle_close_seconds
        if closes_at > self._loop.time():
            self._idle = self._loop.call_at(closes_at, self._close_idle)
        elif self._riding is not None:
            self._drop("idle")
        elif self._wire is not None:
            self._wire.quit()
            self._wire = None


def _text(error: BaseException) -> str:
    return str(error) or "no answer in time"
