"""Reads an account's folders in a thread of its own: fetch until empty, then idle; reconnect for ever."""

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Awaitable, Coroutine
from typing import Any, Protocol, TypeVar

from channelkit.protocol import Host
from contracts.email import EmailSettings
from servicekit.errors import Conflict
from servicekit.failpoints import failpoint
from servicekit.logs import get_logger

from channel_email.folder import Delivery, FolderReader
from channel_email.imap import ImapError, Mailbox
from channel_email.inbound import Inbound
from channel_email.settings import Settings

_log = get_logger("channel_email.inbox")
_LONGEST_PAUSE_SECONDS = 300.0
_LOGIN_PAUSE_SECONDS = 300.0
"""A refused password is not tried often: some servers shut the door for the whole address."""
_LEAVE_SECONDS = 5.0
_T = TypeVar("_T")


class Account(Protocol):
    """What the watch needs of its session."""

    host: Host
    settings: Settings
    account: EmailSettings

    @property
    def imap_password(self) -> str:
        """Return the secret."""
        ...

    async def imap_state(self, trouble: str) -> None:
        """Hear how the inbox is."""
        ...


class InboxWatch:
    """One account's reading, from `start` to `close`."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._inbound = Inbound(account.host, account.account.smtp.from_address, account.settings)
        self._stopped = threading.Event()
        self._box: Mailbox | None = None
        self._calls: set[concurrent.futures.Future[Any]] = set()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name=f"imap {account.host.account.account_id}", daemon=True)

    def start(self) -> None:
        """Begin reading."""
        self._thread.start()

    async def close(self) -> None:
        """End the thread; what it was publishing is read again by the next holder."""
        self._stopped.set()
        for call in list(self._calls):
            call.cancel()
        if self._box:
            self._box.interrupt()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, _LEAVE_SECONDS)

    def _run(self) -> None:
        pause = first = self._account.settings.imap_backoff_seconds
        while not self._stopped.is_set():
            words, wait = "", pause
            try:
                with self._connected() as box:
                    pause = first
                    self._read_for_ever(box)
            except ImapError as error:
                words, wait = f"IMAP: {error.words}", _LOGIN_PAUSE_SECONDS if error.login else pause
            except concurrent.futures.CancelledError:
                return  # the session is closed
            except Conflict as error:
                # Another holder: then this session is about to be closed. Or a lease that lapsed for a moment and was
                # taken again: then nobody else would read.
                _log.info("reading begins anew", account=self._account.host.account.account_id, error=str(error))
                self._stopped.wait(first)
                continue
            except Exception as error:
                _log.warning("reading stopped", account=self._account.host.account.account_id, exc_info=error)
                words = f"IMAP: {type(error).__name__}"
            if self._stopped.is_set():
                return
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
            with contextlib.suppress(Exception, concurrent.futures.CancelledError):
                self._await(self._account.imap_state(words))
            self._stopped.wait(wait)

    @contextlib.contextmanager
    def _connected(self) -> Any:
        settings = self._account.settings
        box = Mailbox.connect(
            self._account.account,
            self._account.imap_password,
            practice=settings.practice,
            timeout=settings.imap_timeout_seconds,
        )
        self._box = box
        try:
            yield box
        finally:
            self._box = None
            box.close()

    def _read_for_ever(self, box: Mailbox) -> None:
        imap = self._account.account.imap
        assert imap is not None
        folders, absent = box.watched(imap.folders)
        if absent:
            self._await(self._account.host.log("info", f"Folders that are not there: {', '.join(absent)}"))
        if not folders:
            raise ImapError("folders", f"none of these folders is there: {', '.join(imap.folders)}")
        positions = self._await(self._account.host.cursor())
        reader = FolderReader(
            box, positions, self._deliver, self._save, settings=self._account.settings, import_days=imap.import_days
        )
        while not self._stopped.is_set():
            box.look_anew()
            for folder in folders:
                reader.catch_up(folder, self._stopped)
            self._await(self._account.imap_state(""))
            if box.selected != folders[0]:
                box.select(folders[0])
                reader.catch_up(folders[0], self._stopped)
            box.idle(self._account.settings.poll_seconds, self._stopped)

    def _deliver(self, delivery: Delivery) -> None:
        failpoint("inbound.after_fetch")
        events = self._inbound.read(delivery)
        self._await(self._inbound.publish(events))
        failpoint("inbound.after_publish")

    def _save(self, positions: dict[str, str]) -> None:
        self._await(self._account.host.save_cursor(positions))

    def _await(self, work: Awaitable[_T]) -> _T:
        """Run a coroutine in the loop and wait for it here."""
        assert isinstance(work, Coroutine)
        if self._stopped.is_set():
            work.close()
            raise concurrent.futures.CancelledError
        call: concurrent.futures.Future[_T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        self._calls.add(call)
        try:
            return call.result()
        finally:
            self._calls.discard(call)
