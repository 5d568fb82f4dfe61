"""Keeps a copy of answers in the account's Sent folder: afterwards, one at a time, and at best."""

import asyncio
import contextlib
from collections import deque
from typing import Protocol

from channelkit.protocol import Host
from contracts.email import EmailSettings

from channel_email.imap import ImapError, Mailbox
from channel_email.settings import Settings

_MOST_WAITING = 100
_MOST_BYTES = 50_000_000


class Account(Protocol):
    """What the Sent folder needs of its session."""

    host: Host
    settings: Settings
    account: EmailSettings

    @property
    def imap_password(self) -> str:
        """Return the secret."""
        ...


class SentFolder:
    """Copies wait here until a connection has appended them; sending never waits for it."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._waiting: deque[bytes] = deque()
        self._let_go = 0
        self._task: asyncio.Task[None] | None = None

    def keep(self, raw: bytes) -> None:
        """Take one copy. While the server does not keep up, further ones are let go and counted in the Logs tab."""
        if len(self._waiting) >= _MOST_WAITING or sum(map(len, self._waiting)) + len(raw) > _MOST_BYTES:
            self._let_go += 1
        else:
            self._waiting.append(raw)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())

    async def close(self) -> None:
        """Give the copies that are under way a moment."""
        if self._task and not self._task.done():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._task, 3)

    async def _work(self) -> None:
        while self._waiting:
            copies = [self._waiting.popleft() for _ in range(len(self._waiting))]
            try:
                await asyncio.to_thread(self._append, copies)
            except ImapError as error:
                await self._account.host.log("warning", f"No copy in the Sent folder: {error.words}")
            if self._let_go:
                await self._account.host.log("warning", f"{self._let_go} answers have no copy in the Sent folder")
                self._let_go = 0

    def _append(self, copies: list[bytes]) -> None:
        settings = self._account.settings
        box = Mailbox.connect(
            self._account.account,
            self._account.imap_password,
            practice=settings.practice,
            timeout=settings.imap_timeout_seconds,
        )
        try:
            folder = box.sent_folder()
            if folder is None:
                raise ImapError("append", "there is no Sent folder")
            for raw in copies:
                box.append(folder, raw)
        finally:
            box.close()
