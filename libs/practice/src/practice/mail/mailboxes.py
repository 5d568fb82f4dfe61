"""The mailboxes of the platform's accounts: pymap's in-memory folders, filled from our side."""

from datetime import UTC, datetime
from itertools import takewhile
from typing import Any

from pymap.backend.dict import Config
from pymap.backend.dict.filter import FilterSet
from pymap.backend.dict.mailbox import MailboxData, MailboxSet
from pymap.concurrent import Event
from pymap.parsing.message import AppendMessage
from pymap.parsing.specials import FetchRequirement, ObjectId
from pymap.selected import SelectedMailbox

from practice.mail.accounts import Accounts

FOLDERS = ("INBOX", "Sent", "Junk")


class QuietFolder(MailboxData):
    """A folder that announces new mail by EXISTS alone, as Dovecot, Gmail and Exchange do.

    pymap adds an unasked FETCH of its flags, which clients mistake for the answer to theirs. And its IDLE waits for the
    next mail although one has come since the client was last told: that one was announced with the next, or never.
    """

    async def update_selected(self, selected: SelectedMailbox, *, wait_on: Event | None = None) -> SelectedMailbox:
        """Bring a client's view up to date, once something has happened where `wait_on` is given."""
        if selected.mod_sequence != self._mod_sequences.highest:
            wait_on = None
        newest = selected.messages.max_uid
        selected = await super().update_selected(selected, wait_on=wait_on)
        new = takewhile(lambda message: message.uid > newest, reversed(self._messages.values()))
        selected._silenced_flags.update(message.flags_key for message in new)  # noqa: SLF001
        return selected


class QuietFolders(MailboxSet):
    """The quiet folders of one account."""

    def __init__(self) -> None:
        super().__init__()
        self._inbox = self._new()
        for name in FOLDERS[1:]:
            self._set[name] = self._new()

    def _new(self) -> QuietFolder:
        return QuietFolder(self._content_cache, self._thread_cache)

    async def add_mailbox(self, name: str) -> ObjectId:
        """Create a folder. Raises ValueError where it exists."""
        if name in self._set:
            raise ValueError(name)
        self._set[name] = self._new()
        return self._set[name].mailbox_id


class Mailboxes:
    """Folders per account; an account's mailbox comes into being when first used."""

    def __init__(self, accounts: Accounts, config: Config) -> None:
        self._accounts, self._cache = accounts, config.set_cache

    def of(self, address: str) -> MailboxSet:
        """Return the folders of an account."""
        held = self._cache.get(address)
        if held is None:
            held = self._cache[address] = (QuietFolders(), FilterSet())
        return held[0]

    async def deliver(self, login: str, folder: str, content: bytes) -> bool:
        """Put raw mail into an account's folder, byte for byte; False where there is no such account.

        Raises KeyError for an unknown folder.
        """
        address = self._accounts.address(login)
        if address not in self._accounts.known:
            return False
        mailbox = await self.of(address).get_mailbox(folder)
        await mailbox.append(AppendMessage(content, datetime.now(UTC), frozenset()), recent=False)
        return True

    async def contents(self, address: str, folder: str) -> list[tuple[int, bytes]]:
        """Return UID and raw mail of all messages in a folder. Raises KeyError for an unknown folder."""
        mailbox = await self.of(address).get_mailbox(folder)
        return [(message.uid, await _raw(message)) async for message in mailbox.messages()]

    async def renumber(self, address: str, folder: str) -> int:
        """Give a folder a new UIDVALIDITY and its messages new UIDs; return the UIDVALIDITY.

        Clients that have the folder open must be cut off: they would go on with the old numbers.
        """
        mailbox = await self.of(address).get_mailbox(folder)
        messages = list(mailbox._messages.values())  # noqa: SLF001
        mailbox._messages.clear()  # noqa: SLF001
        mailbox._max_uid = 0  # noqa: SLF001
        mailbox._uid_validity += 1  # noqa: SLF001
        for message in messages:
            content = await _raw(message)
            await mailbox.append(AppendMessage(content, message.internal_date, message.permanent_flags), recent=False)
        return int(mailbox.uid_validity)

    def clear(self) -> None:
        """Empty all mailboxes."""
        self._cache.clear()


async def _raw(message: Any) -> bytes:
    loaded = await message.load_content(FetchRequirement.CONTENT)
    return bytes(loaded)
