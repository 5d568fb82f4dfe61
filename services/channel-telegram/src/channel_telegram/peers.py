"""Whom an account knows: addresses ↔ people. In memory while they are used, sealed in the account's memo for ever."""

import asyncio
import json
import re
from collections import OrderedDict
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import Protocol

from contracts.ids import digest
from servicekit.errors import Permanent

from channel_telegram.model import Peer, Person

PHONE = re.compile(r"^\+\d{5,15}$")
_BY_ID = re.compile(r"^#(\d{1,19})$")
_HANDLE = re.compile(r"^[A-Za-z][A-Za-z0-9_]{2,31}$")


class Memo(Protocol):
    """Small lasting facts of one account; `Host` is one."""

    async def remember(self, key: str, value: bytes) -> None:
        """Keep a fact. Raises Unavailable."""

    async def recall(self, key: str) -> bytes | None:
        """Return a fact. Raises Unavailable."""


class Directory(Protocol):
    """The platform, asked for people. Raises what the session's senders raise."""

    async def by_phone(self, phone: str, name: str) -> Person | None:
        """Return whose phone number it is."""

    async def by_handle(self, handle: str) -> Person | None:
        """Return whose handle it is."""


@dataclass(frozen=True, slots=True)
class Known:
    """A person, and the address under which we last wrote to them (empty: we have not)."""

    peer: Peer
    address: str = ""
    name: str = ""
    seen: str = ""
    """What they showed of themselves when they were last described."""
    is_bot: bool = False


def normal(address: str) -> str:
    """Return an address as conversations are named: a phone number, a handle in lower case, `#<user id>`."""
    text = address.strip()
    return text if text.startswith(("+", "#")) else text.removeprefix("@").lower()


class Peers:
    """One account's people. Nothing is written while nothing changes, so that an idle account costs nothing."""

    def __init__(self, memo: Memo, account_id: str, kept: int) -> None:
        self._memo, self._account_id, self._kept = memo, account_id, kept
        self._by_id: OrderedDict[int, Known] = OrderedDict()
        self._ids: OrderedDict[str, int] = OrderedDict()

    async def resolve(self, address: str, name: str, directory: Directory) -> Peer:
        """Return whom to write to. Raises Permanent, and what the directory and the memo raise."""
        address = normal(address)
        known = await self._known(address)
        if known is None:
            person = await _found(address, name, directory)
            if person is None or person.access_hash is None:
                raise Permanent("not_on_telegram", "nobody can be found on Telegram by this address")
            known = Known(
                Peer(person.id, person.access_hash), name=person.name, seen=_visible(person), is_bot=person.is_bot
            )
        if known.address != address:
            await self._keep(replace(known, address=address), address)
        return known.peer

    async def met(self, person: Person) -> Known:
        """Take note of somebody the platform has described, so that they can be answered."""
        known = await self.known(person.id)
        if person.access_hash is None:
            if known is None:
                raise LookupError(person.id)
            return known
        peer, seen = Peer(person.id, person.access_hash), _visible(person)
        if known is None:
            fresh = Known(peer, "", person.name, seen, person.is_bot)
        else:
            shows = known.seen if _BY_ID.match(seen) and known.seen else seen
            fresh = replace(known, peer=peer, name=person.name or known.name, seen=shows)
            if (fresh.peer, fresh.seen) == (known.peer, known.seen):
                return known
        await self._keep(fresh, fresh.address or fresh.seen)
        return fresh

    async def known(self, user_id: int) -> Known | None:
        """Return somebody by the platform's id, None for strangers."""
        if user_id in self._by_id:
            self._by_id.move_to_end(user_id)
            return self._by_id[user_id]
        kept = await self._memo.recall(self._key("user", user_id))
        if kept is None:
            return None
        values = json.loads(kept)
        known = Known(
            Peer(user_id, values["hash"]),
            values["address"],
            values.get("name", ""),
            values.get("seen", ""),
            is_bot=values.get("bot", False),
        )
        self._remember(known)
        return known

    async def conversation(self, person: Person) -> str:
        """Return the address of a person's conversation: as we last wrote to them, else what is visible of them."""
        known = await self.known(person.id)
        if known is not None and known.address:
            return known.address
        visible = _visible(person)
        return known.seen if known is not None and known.seen and _BY_ID.match(visible) else visible

    async def forget(self, address: str) -> None:
        """Ask the platform anew next time: what was known of the address no longer holds."""
        user_id = self._ids.pop(normal(address), None)
        if user_id is not None:
            self._by_id.pop(user_id, None)
        await self._memo.remember(self._key("address", normal(address)), b"null")

    async def _known(self, address: str) -> Known | None:
        found = _BY_ID.match(address)
        user_id = int(found[1]) if found else self._ids.get(address)
        if user_id is None:
            kept = await self._memo.recall(self._key("address", address))
            user_id = json.loads(kept) if kept else None
        known = await self.known(user_id) if user_id is not None else None
        if known is not None and found is None:
            self._remember(known, address)  # else its address would be read anew for every message
        return known

    async def _keep(self, known: Known, address: str) -> None:
        values = {
            "hash": known.peer.access_hash,
            "address": known.address,
            "name": known.name,
            "seen": known.seen,
            "bot": known.is_bot,
        }
        writes: list[Awaitable[None]] = [
            self._memo.remember(self._key("user", known.peer.id), json.dumps(values).encode())
        ]
        if not _BY_ID.match(address) and self._ids.get(address) != known.peer.id:
            writes.append(self._memo.remember(self._key("address", address), json.dumps(known.peer.id).encode()))
        await asyncio.gather(*writes)
        self._remember(known, address)

    def _remember(self, known: Known, address: str = "") -> None:
        self._by_id[known.peer.id] = known
        self._by_id.move_to_end(known.peer.id)
        if address:
            self._ids[address] = known.peer.id
            self._ids.move_to_end(address)
        for kept in (self._by_id, self._ids):
            if len(kept) > self._kept:
                kept.popitem(last=False)

    def _key(self, kind: str, what: object) -> str:
        return digest("telegram", kind, self._account_id, what)


async def _found(address: str, name: str, directory: Directory) -> Person | None:
    if PHONE.match(address):
        return await directory.by_phone(address, name)
    if _HANDLE.match(address):
        return await directory.by_handle(address)
    if _BY_ID.match(address):
        raise Permanent("unknown_peer", "this account has never met this person: give a phone number or a handle")
    raise Permanent("invalid_address", "neither a phone number with its country code nor a Telegram handle")


def _visible(person: Person) -> str:
    return person.phone or person.username.lower() or f"#{person.id}"
