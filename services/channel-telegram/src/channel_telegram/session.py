"""A Telegram account's session: connected or connecting again, its login kept in the vault."""

import asyncio
from typing import Any

from channelkit.protocol import Host, NeedsLogin, Restricted
from contracts.commands import Attachment, Recipient, SendMessage
from contracts.state import SessionStatus
from servicekit import tasks
from servicekit.clock import boottime, utcnow
from servicekit.errors import KurirError, Permanent
from servicekit.logs import get_logger

from channel_telegram.client import files
from channel_telegram.client import login as client
from channel_telegram.client.connection import Connection
from channel_telegram.client.errors import ConnectionLost, TelegramError
from channel_telegram.directory import PlatformDirectory
from channel_telegram.inbound import Inbound
from channel_telegram.keeping import load_form
from channel_telegram.link import Gateway, Link
from channel_telegram.login import Login
from channel_telegram.login_words import NO_API
from channel_telegram.media import Kind, Uploads
from channel_telegram.model import Peer, Person
from channel_telegram.pauses import Pauses, asked
from channel_telegram.peers import Peers
from channel_telegram.refusals import Refusals, login_words
from channel_telegram.sender import TelegramSender
from channel_telegram.sent import SentIds
from channel_telegram.vaultform import VaultForm

_log = get_logger("channel_telegram.session")
_SHORT_BREAK_SECONDS = 3.0
_LOG_OUT_WAIT_SECONDS = 20.0


class TelegramSession:
    """Implements protocol.Session, and what its login, its senders and its inbox need."""

    form: VaultForm

    def __init__(self, host: Host, gateway: Gateway, phone: str) -> None:
        self.host, self.phone = host, phone
        self.sent = SentIds()
        self._settings = gateway.settings
        self._account_id = host.account.account_id
        self._gateway, self._link = gateway, Link(gateway)
        self._refusals = Refusals(gateway.settings)
        self._peers = Peers(host, self._account_id, gateway.settings.peers_kept)
        self._uploads = Uploads(gateway.settings.media_kept)
        self._directory = PlatformDirectory(self._link)
        self._login = Login(host, self._link, self)
        self._inbound = Inbound(host, gateway.settings, self._peers, self.sent)
        self._answering = asyncio.Lock()
        self._complete = asyncio.Event()
        self._was_ready = False
        self._over = self._told_down = False
        self._down_since = 0.0
        self._restricted: Restricted | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; progress goes to the host."""
        self._task = asyncio.create_task(self._run(), name=f"telegram {self._account_id}")

    # -- from the kit

    def sender(self) -> TelegramSender:
        """Return a sender."""
        return TelegramSender(self)

    async def answer(self, challenge_id: str, answer: str, *, resend: bool) -> None:
        """Take a login answer. Raises Permanent."""
        async with self._answering:
            await self._login.answer(challenge_id, answer, resend=resend)

    async def check(self, address: str) -> bool | None:
        """Return whether somebody on Telegram has this address. Raises Retry, Permanent, NeedsLogin."""
        try:
            await self.peer(Recipient(address=address))
        except Permanent as error:
            return False if error.reason == "not_on_telegram" else None
        except (TelegramError, ConnectionLost) as error:
            judged = await self.judged(error, claimed=False)
            if isinstance(judged, Restricted):
                raise Permanent("restricted", judged.reason) from error
            raise judged from error
        return True

    async def was_sent(self, key: str, command: SendMessage) -> bool | None:  # noqa: ARG002
        """Return None: Telegram cannot be asked by key; it recognises a repeat instead."""
        return None

    async def probe(self) -> None:
        """Truly ask who is signed in. Raises NeedsLogin, Retry."""
        try:
            await client.whoami(self.connection, timeout_seconds=self._settings.probe_timeout_seconds * 0.8)
        except (TelegramError, ConnectionLost) as error:
            raise await self.judged(error, claimed=False) from error

    async def log_out(self) -> None:
        """End the login on the platform, or make its code worthless. Raises TelegramError, ConnectionLost."""
        connection = await self._link.wait(_LOG_OUT_WAIT_SECONDS)
        if self.form.user_id:
            self._over = True
            await client.log_out(connection)
        elif self.form.pending:
            await client.cancel_code(connection, self.form.phone, self.form.pending.code_hash)

    async def close(self) -> None:
        """End the connection and everything that runs on it."""
        self._over = True
        await tasks.end([self._task])
        await self._uploads.close()
        await self._link.close()

    # -- for senders

    @property
    def connection(self) -> Connection:
        """Return the present connection. Raises ConnectionLost."""
        return self._link.current

    async def peer(self, to: Recipient, *, anew: bool = False) -> Peer:
        """Return whom to write to. Raises Permanent, TelegramError, ConnectionLost."""
        if anew:
            await self._peers.forget(to.address)
        return await self._peers.resolve(to.address, to.name or "", self._directory)

    async def uploaded(self, attachment: Attachment, *, anew: bool = False) -> Any:
        """Return a file the platform has, uploading it if need be. Raises Permanent, TelegramError, ConnectionLost."""
        if anew:
            self._uploads.forget(attachment)
        return await self._uploads.get(attachment, self._upload, self._settings.request_timeout_seconds)

    async def judged(self, error: Exception, *, claimed: bool) -> Exception:
        """Return what the kit must hear of an error; a login that is no longer good is noted for good."""
        judged = self._refusals.judge(error, claimed=claimed)
        if isinstance(judged, NeedsLogin):
            await self.end(str(judged))
        if isinstance(judged, Restricted):
            self._restricted = judged
        return judged

    async def _upload(self, attachment: Attachment, kind: Kind) -> Any:
        data = await self.host.get_media(attachment.object)
        return await files.put_file(self.connection, data, attachment.filename, attachment.content_type, kind)

    # -- for the login

    async def keep(self, form: VaultForm) -> None:
        """Seal a new form. Raises Conflict, Unavailable."""
        await self.host.save_session(form.model_dump_json().encode())
        self.form = form

    async def end(self, reason: str) -> None:
        """Say that a person must log in again, and remember it."""
        await self._note_end(reason)
        await self.host.report(SessionStatus.LOGGED_OUT, reason)

    async def signed_in(self, person: Person) -> None:
        """Keep the complete login and become ready. Raises Conflict, Unavailable."""
        connection = self._link.current
        form = self.form.at(connection.place, connection.key)
        done = {"user_id": person.id, "pending": None, "asks": 0, "not_before": None}
        try:
            await self.keep(form.model_copy(update=done))
            self._was_ready = True
            await self._inbound.begin(connection, person)
        except BaseException:
            connection.drop()  # connected again, it sees who is signed in, and goes on from there
            raise
        await self._ready(person)

    async def _ready(self, person: Person) -> None:
        identity = f"{person.phone or self.phone}{f' @{person.username}' if person.username else ''}"
        self._was_ready = True
        self._complete.set()
        await self.host.report(SessionStatus.READY, identity=identity)

    async def _note_end(self, reason: str) -> None:
        self._over = True
        try:
            await self.keep(
                self.form.model_copy(update={"ended": reason, "pending": None, "not_before": None, "asks": 0})
            )
        except KurirError as error:
            _log.warning("the end of a login was not kept", account=self._account_id, error=str(error))

    # -- the life of the session

    async def _run(self) -> None:
        try:
            self.form = await load_form(self.host, self.phone, self._gateway)
            if self.form.ended:
                await self.host.report(SessionStatus.LOGGED_OUT, self.form.ended)
            elif not self._gateway.api.id or not self._gateway.api.hash:
                await self.host.report(SessionStatus.FAILED, NO_API)
            elif self.host.account.status == "deleting" and not (self.form.user_id or self.form.pending):
                _log.info("nothing to log out of", account=self._account_id)
            elif not await self._login.waits():
                await self._stay_connected()
        except KurirError as error:
            await self.host.report(SessionStatus.FAILED, error.detail or error.reason)
        except Exception as error:
            _log.error("a session failed", account=self._account_id, exc_info=error)
            await self.host.report(SessionStatus.FAILED, f"internal error: {type(error).__name__}")

    async def _stay_connected(self) -> None:
        """Connect, live, and connect again."""
        pauses = Pauses(self._settings.reconnect_seconds)
        while not self._over:
            try:
                connection = await self._link.get(self.form)
                async with self._answering:
                    asked_or_in = await self._enter(connection)
                if not asked_or_in:
                    return
                pauses.entered()
                await self._live()
            except (TelegramError, ConnectionLost) as error:
                if not await self._survived(error):
                    return
                pause = pauses.after(error)
            except KurirError as error:  # NATS is away, or the lease lapsed for a moment
                _log.info("reading begins anew", account=self._account_id, error=str(error))
                pause = pauses.after(error)
            await asyncio.sleep(pause)

    async def _enter(self, connection: Connection) -> bool:
        """See who we are here, or ask for a code. Returns whether there is anything to stay connected for."""
        form = self.form
        if not form.user_id and form.pending is None:
            await self._login.begin()
            return self.form.pending is not None
        try:
            person = await client.whoami(connection)
        except TelegramError as error:
            if form.user_id or error.code != 401 or error.name == "AUTH_KEY_NOT_FOUND":
                raise
            await self._login.ask()
            return True
        if not form.user_id:  # the answer was accepted, and the process died before it was kept
            await self.signed_in(person)
        elif not self._complete.is_set():
            await self._inbound.begin(connection, person)
            await self._ready(person)
        return True

    async def _live(self) -> None:
        """Read what comes in until the connection ends. Raises ConnectionLost, TelegramError."""
        connection = self._link.current
        if not self._complete.is_set():
            waits = [asyncio.ensure_future(one) for one in (self._complete.wait(), connection.wait_closed())]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await tasks.end(waits)
        connection = self._link.current
        await self._inbound.catch_up(connection)
        await self._recovered()
        await self._inbound.run(connection)
        raise ConnectionLost("the connection ended")

    async def _recovered(self) -> None:
        """What was missed is here: a break that was reported is over."""
        told, self._told_down, self._down_since = self._told_down, False, 0.0
        if told and self._restricted is not None and self._restricted.until > utcnow():
            await self.host.report(SessionStatus.DEGRADED, self._restricted.reason)
        elif told:
            await self.host.report(SessionStatus.READY)

    async def _survived(self, error: TelegramError | ConnectionLost) -> bool:
        """Return whether to connect again; a break that lasts is reported."""
        if self._over:
            return False
        if isinstance(error, TelegramError) and (words := login_words(error)):
            await self.end(words if self.form.user_id else f"The login was not finished: log in again ({error.name})")
            return False
        if self.form.pending is not None:
            return True
        words = f"Telegram refuses: {error.words}" if isinstance(error, TelegramError) else ""
        reason = words or f"no connection to Telegram: {error}"
        if not self._was_ready:
            await self.host.report(SessionStatus.FAILED, reason)
            return False
        self._down_since = self._down_since or boottime()
        if boottime() + asked(error) - self._down_since >= _SHORT_BREAK_SECONDS:
            self._told_down = True
            await self.host.report(SessionStatus.DEGRADED, reason)
        return True
