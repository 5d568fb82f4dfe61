"""Asking the platform who somebody is."""

from collections.abc import Awaitable

from channel_telegram.client import messages
from channel_telegram.client.errors import TelegramError
from channel_telegram.link import Link
from channel_telegram.model import Person

_NOBODY = {"USERNAME_NOT_OCCUPIED", "USERNAME_INVALID", "PHONE_NOT_OCCUPIED", "PHONE_NUMBER_INVALID"}
_LONGEST_NAME = 64


class PlatformDirectory:
    """Implements peers.Directory over an account's connection. Raises TelegramError, ConnectionLost."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def by_phone(self, phone: str, name: str) -> Person | None:
        """Put the number into the account's contacts, as the app does, and see whose it is."""
        return await _somebody(messages.import_contact(self._link.current, phone, name[:_LONGEST_NAME]))

    async def by_handle(self, handle: str) -> Person | None:
        """Look a handle up."""
        return await _somebody(messages.resolve_username(self._link.current, handle))


async def _somebody(asked: Awaitable[Person | None]) -> Person | None:
    try:
        return await asked
    except TelegramError as error:
        if error.name in _NOBODY:
            return None
        raise
