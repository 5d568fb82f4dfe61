"""What channelkit does for one session: the Host handed to `ChannelDriver.open`."""

import asyncio
from collections.abc import Callable
from typing import Literal

from contracts import subjects
from contracts.commands import Attachment
from contracts.headers import ERROR
from contracts.inbox import Bounced, Deleted, Delivered, Edited, Read, Received
from contracts.state import Challenge, CursorState, DesiredAccount, SessionStatus
from servicekit.errors import Conflict, NotFound, Permanent, Unavailable

from channelkit.kit import Kit
from channelkit.protocol import Credentials, Inbound, Shown
from channelkit.reporting import Reporter

_LARGEST_DEAD_LETTER = 512 * 1024
_WHAT: dict[type[Inbound], subjects.What] = {
    Received: "received", Edited: "edited", Deleted: "deleted",
    Delivered: "delivered", Read: "read", Bounced: "bounced",
}  # fmt: skip


class SessionHost:
    """Implements protocol.Host for one session.

    Once *retired*, what the session reports and publishes is no longer heard; until it has *closed*, it may still keep
    what it closes with (a browser's profile).
    """

    def __init__(
        self,
        kit: Kit,
        reporter: Reporter,
        account: DesiredAccount,
        credentials: Credentials,
        on_status: Callable[["SessionHost"], None],
    ) -> None:
        self.account, self.credentials = account, credentials
        self.retired = self.closed = False
        self._kit, self._reporter, self._on_status = kit, reporter, on_status
        self._cursor: tuple[CursorState, int] | None = None

    async def report(
        self,
        status: SessionStatus,
        reason: str = "",
        *,
        challenge: Challenge | None = None,
        identity: str = "",
        shown: Shown | None = None,
    ) -> None:
        """Report the session's state, and seal what a person has to see beside it. Raises TooLarge for a huge picture."""
        if self.retired:
            return
        self._reporter.change(status, reason, challenge=challenge, identity=identity, shown=shown)
        self._on_status(self)
        await self._reporter.flush()

    def alive(self) -> None:
        """The platform has just truly answered."""
        if not self.retired:
            self._reporter.alive()

    async def log(self, kind: Literal["info", "warning", "error"], text: str, row: str | None = None) -> None:
        """Add a line to the account's Logs tab; never a secret."""
        self._reporter.log(kind, text, row)

    async def publish(self, event: Inbound, event_id: str) -> None:
        """Publish an inbound event, waiting out an absent bus; what is too large is announced as a stub.

        Raises Conflict once the session is no longer the account's.
        """
        subject = subjects.inbox(self._kit.channel, self.account.account_id, _WHAT[type(event)])
        try:
            await self._publish(subject, event, event_id)
        except Permanent:
            if not isinstance(event, Received):
                raise
            await self.dead_letter(event.model_dump_json().encode(), "too_large", event_id)
            stub = event.model_copy(update={"text": "", "html": None, "attachments": [], "stub": "too_large"})
            await self._publish(subject, stub, event_id)

    async def dead_letter(self, raw: bytes, error: str, event_id: str) -> None:
        """Keep what could not be read, its first half megabyte."""
        subject = subjects.dead_letter(subjects.inbox(self._kit.channel, self.account.account_id, "received"))
        await self._publish(subject, raw[:_LARGEST_DEAD_LETTER], f"dlq.{event_id}", {ERROR: _header(error)})

    async def cursor(self) -> dict[str, str]:
        """Return the inbound positions. Raises Unavailable."""
        entry = await self._kit.cursors.get(self.account.account_id)
        self._cursor = (entry.value, entry.revision) if entry else None
        return dict(entry.value.positions) if entry else {}

    async def save_cursor(self, positions: dict[str, str]) -> None:
        """Write the inbound positions with the lease's epoch. Raises Conflict once the lease has moved on."""
        if self._cursor is None:
            await self.cursor()
        epoch = self._kit.leases.held(self.account.account_id)
        if epoch is None or self.retired or (self._cursor and self._cursor[0].epoch > epoch):
            raise Conflict("the account has another holder")
        state = CursorState(epoch=epoch, positions=positions)
        key, last = self.account.account_id, self._cursor
        self._cursor = None  # an answer that never comes leaves us not knowing the revision
        write = self._kit.cursors.update(key, state, last[1]) if last else self._kit.cursors.create(key, state)
        self._cursor = (state, await write)

    async def remember(self, key: str, value: bytes) -> None:
        """Keep a small lasting fact of the account, sealed; a closed session's is not kept. Raises Unavailable."""
        if not self.closed:  # or what is deleted would come back
            await self._kit.memos.remember(self.account.account_id, key, value)

    async def recall(self, key: str) -> bytes | None:
        """Return what was last remembered under *key*, None where nothing was. Raises SealError, Unavailable."""
        return await self._kit.memos.recall(self.account.account_id, key)

    async def put_media(self, data: bytes, filename: str, content_type: str) -> Attachment:
        """Keep an attachment in the media store. Raises Unavailable."""
        key = await self._kit.media.put(data)
        return Attachment(object=key, filename=filename[:255], content_type=content_type, size=len(data))

    async def get_media(self, key: str) -> bytes:
        """Fetch an attachment. Raises Permanent("attachment_missing"), Unavailable."""
        try:
            return await self._kit.media.get(key)
        except NotFound as error:
            raise Permanent("attachment_missing", f"{key} is not in the media store") from error

    async def load_session(self) -> bytes | None:
        """Return the session kept in the vault, opened, or None. Raises SealError, Unavailable."""
        return await self._kit.vault.load(self.account.account_id)

    async def save_session(self, data: bytes) -> None:
        """Seal a session into the vault and move the pointer to it. Raises Conflict, TooLarge, Unavailable."""
        if self.closed or self._kit.leases.held(self.account.account_id) is None:
            raise Conflict("the account has another holder")
        await self._kit.vault.save(self.account.account_id, data, self.account.login_version)
        if self.account.session_import:
            await self._kit.vault.drop_import(self.account.session_import)

    async def imported_session(self) -> bytes | None:
        """Return the session a person uploaded, opened, unless a later one is kept. Raises SealError, Unavailable."""
        given = self.account.session_import
        return await self._kit.vault.load_import(self.account.account_id, given) if given else None

    async def refuse_import(self, why: str) -> None:
        """Say that an imported session is none, in the state before it goes: else it would look taken over."""
        given = self.account.session_import
        if given is None:
            return
        self._reporter.update(urgent=True, refused_import=given.id)
        await self.log("warning", f"The imported session cannot be used: {why}")
        if not await self._reporter.flush(force=True):
            raise Unavailable("the state could not be written")
        await self._kit.vault.drop_import(given)

    async def _publish(
        self, subject: str, message: Inbound | bytes, event_id: str, headers: dict[str, str] | None = None
    ) -> None:
        pause = 0.1
        while True:
            if self.retired:
                raise Conflict("the session is closed")
            try:
                await self._kit.bus.publish(subject, message, msg_id=event_id, headers=headers)
            except Unavailable:
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)
            else:
                return


def _header(text: str) -> str:
    return " ".join(text.split())[:500]
