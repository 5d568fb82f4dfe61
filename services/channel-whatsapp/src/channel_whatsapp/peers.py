"""People on WhatsApp: the address a person knows them by, and the ids the page knows them by.

WhatsApp hides phone numbers behind `…@lid` ids. What is written to a number may be answered from a hidden id, so the
address under which we wrote to it is remembered for good.
"""

from collections import OrderedDict
from typing import Protocol

from servicekit.errors import Permanent

from channel_whatsapp.page import WhatsAppPage

_CACHED = 5000
_PHONE, _HIDDEN, _GROUP = "@c.us", "@lid", "@g.us"
_NOBODY = ("@broadcast", "@newsletter", "@bot", "@call")
"""Chats that are not a conversation with anybody."""


class Memory(Protocol):
    """What of channelkit's Host is needed here."""

    async def remember(self, key: str, value: bytes) -> None:
        """Keep a small fact of the account, sealed."""

    async def recall(self, key: str) -> bytes | None:
        """Return it, or None."""


class Peers:
    """One account's peers."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._addresses: OrderedDict[str, str] = OrderedDict()
        """The page's id → the address we use; empty: none is remembered."""
        self._reached: OrderedDict[str, str] = OrderedDict()
        """Address → the page's id, where the number is known to be on WhatsApp."""

    async def reach(self, page: WhatsAppPage, address: str) -> str:
        """Return the page's id of an address. Raises Permanent("not_on_whatsapp"), Permanent("bad_address"), PageGone."""
        if known := self._reached.get(address):
            return known
        wid = wid_of(address)
        if wid.endswith(_PHONE):
            found = await page.exists(wid)
            if found is None:
                raise Permanent("not_on_whatsapp", f"{address} is not on WhatsApp")
            wid = found[0]
            for other in {*found} - {"", wid_of(address)}:
                await self._note(other, address)
        _keep(self._reached, address, wid)
        return wid

    async def address(self, wid: str, phone: str) -> str:
        """Return the address of a chat: the one we wrote to, else its phone number, else the page's id itself."""
        if (known := self._addresses.get(wid)) is None:
            found = await self._memory.recall(_key(wid))
            known = found.decode() if found else ""
            _keep(self._addresses, wid, known)
        return known or address_of(wid, phone)

    async def _note(self, wid: str, address: str) -> None:
        if self._addresses.get(wid) != address:
            await self._memory.remember(_key(wid), address.encode())
            _keep(self._addresses, wid, address)


def wid_of(address: str) -> str:
    """Return the page's id of an address in normal form. Raises Permanent("bad_address")."""
    if address.startswith("+") and address[1:].isdigit():
        return address[1:] + _PHONE
    if address.endswith((_HIDDEN, _GROUP)):
        return address
    raise Permanent("bad_address", "neither a phone number nor an id of WhatsApp")


def address_of(wid: str, phone: str) -> str:
    """Return the address of somebody we never wrote to."""
    user, _, server = wid.partition("@")
    if number := phone or (user if f"@{server}" == _PHONE else ""):
        return f"+{number}"
    return wid


def is_group(wid: str) -> bool:
    """Return whether a chat is a group's."""
    return wid.endswith(_GROUP)


def is_nobody(wid: str) -> bool:
    """Return whether a chat is WhatsApp's own: status updates, channels, broadcasts."""
    return not wid or wid.endswith(_NOBODY)


def _key(wid: str) -> str:
    user, _, server = wid.partition("@")
    return f"peer_{''.join(c for c in user if c.isalnum() or c in '_-')}_{server.replace('.', '-')}"


def _keep(cache: OrderedDict[str, str], key: str, value: str) -> None:
    cache[key] = value
    cache.move_to_end(key)
    while len(cache) > _CACHED:
        cache.popitem(last=False)
