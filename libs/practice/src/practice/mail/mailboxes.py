"""The mailboxes of the platform's accounts: pymap's in-memory folders, filled from our side."""

from datetime import UTC, datetime
from typing import Any

from pymap.backend.dict import Config
from pymap.backend.dict.filter import FilterSet
from pymap.backend.dict.mailbox import MailboxSet
from pymap.parsing.message import AppendMessage
from pymap.parsing.specials import FetchRequirement

from practice.mail.accounts import Accounts

FOLDERS = ("INBOX", "Sent", "Junk")


class Mailboxes:
    """Folders per account; an account's mailbox comes into being when first used."""

    def __init__(self, accounts: Accounts, config: Config) -> None:
        self._accounts, self._cache = accounts, config.set_cache

    async def of(self, address: str) -> MailboxSet:
        """Return the folders of an account."""
        held = self._cache.get(address)
        if held is None:
            held = self._cache[address] = (MailboxSet(), FilterSet())
            for folder in FOLDERS[1:]:
                await held[0].add_mailbox(folder)
        return held[0]

    async def deliver(self, login: str, folder: str, content: bytes) -> bool:
        """Put raw mail into an account's folder, byte for byte; False where there is no such account.

        Raises KeyError for an unknown folder.
        """
        address = self._accounts.address(login)
        if address not in self._accounts.known:
            return False
        mailbox = await (await self.of(address)).get_mailbox(folder)
        await mailbox.append(AppendMessage(content, datetime.now(UTC), frozenset()), recent=True)
        return True

    async def contents(self, address: str, folder: str) -> list[tuple[int, bytes]]:
        """Return UID and raw mail of all messages in a folder. Raises KeyError for an unknown folder."""
        mailbox = await (await self.of(address)).get_mailbox(folder)
        return [(message.uid, await _raw(message)) async for message in mailbox.messages()]

    async def renumber(self, address: str, folder: str) -> int:
        """Give a folder a new UIDVALIDITY and its messages new UIDs; return the UIDVALIDITY.

        Clients that have the folder open must be cut off: they would go on with the old numbers.
        """
        mailbox = await (await self.of(address)).get_mailbox(folder)
        messages = list(mailbox._messages.values())  # noqa: SLF001
        mailbox._messages.clear()  # noqa: SLF001
        mailbox._max_uid = 0  # noqa: SLF001
        mailbox._uid_validity += 1  # noqa: SLF001
        for message in messages:
            content = await _raw(message)
            await mailbox.append(AppendMessage(content, message.internal_date, message.permanent_flags), recent=True)
        return int(mailbox.uid_validity)

    def clear(self) -> None:
        """Empty all mailboxes."""
        self._cache.clear()


async def _raw(message: Any) -> bytes:
    loaded = await message.load_content(FetchRequirement.CONTENT)
    return bytes(loaded)
