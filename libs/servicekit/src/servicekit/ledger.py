"""The ledger of attempts, `ledger_<channel>`: whoever writes a key first has decided what becomes of it.

The holder of an account claims a key right before sending; whoever cancels, pauses or deletes claims the same key with
`cancelled`. Nothing in it ends by age: a batch is purged when each of its rows has recorded its end.
"""

import asyncio
import secrets
from dataclasses import dataclass
from functools import partial
from typing import Literal

from contracts import subjects
from contracts.channels import Channel
from contracts.state import LedgerEntry
from nats.js import api

from servicekit.bus import Bus
from servicekit.bus_errors import is_wrong_last, translated
from servicekit.clock import utcnow
from servicekit.direct import Delivery
from servicekit.errors import Conflict
from servicekit.kv import Bucket
from servicekit.pipe import Heard, acknowledgement

_EXPECTED = f"NATS/1.0\r\n{api.Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value}: %d\r\n\r\n".encode()
Cancellation = Literal["won", "asked", "ended"]


@dataclass(frozen=True)
class Found:
    """An entry and the revision to name when replacing it; revision 0: there is none."""

    entry: LedgerEntry
    revision: int


@dataclass(frozen=True)
class CancelResult:
    """How a cancelling went.

    `won`: the attempt is ours and cancelled: move the row. `asked`: it is being sent now; its holder ends it `sent`,
    `cancelled`, `failed` or `unknown`, and its event will say so. `ended`: it had its end before; *entry* is it.
    """

    outcome: Cancellation
    entry: LedgerEntry


class Ledger:
    """One channel's ledger. Every call raises Unavailable where NATS is away or silent."""

    def __init__(self, bus: Bus, channel: Channel) -> None:
        """Nothing is opened: the bus is used as it is."""
        self._bus = bus
        self._bucket = Bucket(bus, subjects.bucket("ledger", channel), LedgerEntry)
        self._prefix = self._bucket.subject("").encode()

    async def read(self, key: str) -> Found | None:
        """Return what the ledger's leader holds of an attempt."""
        stored = await self._bucket.get(key)
        return None if stored is None else Found(stored.value, stored.revision)

    async def write(self, key: str, entry: LedgerEntry, revision: int) -> int:
        """Replace what was at *revision* (0: create) and return the new one. Raises Conflict where it is not the last."""
        if revision:
            return await self._bucket.update(key, entry, revision)
        return await self._bucket.create(key, entry)

    async def put(self, key: str, data: bytes, revision: int) -> int:
        """Write a ready entry as `write` does, through the pipe.

        Raises Conflict, or Unavailable (it may still come: read it back).
        """
        answer: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()
        self.post(key, data, revision, partial(_settle, answer))
        try:
            return acknowledgement(await answer).seq
        except Exception as error:
            if is_wrong_last(error):
                raise Conflict(f"{key} was written by somebody else") from error
            with translated(key):
                raise

    def post(self, key: str, data: bytes, revision: int, heard: Heard) -> None:
        """Write a ready entry through the pipe and let *heard* hear the answer. Raises Unavailable before a connection."""
        self._bus.pipe.post(self._prefix + key.encode(), data, heard, _EXPECTED % revision)

    async def cancel(
        self, key: str, reason: str, *, detail: str = "", token: str | None = None, tries: int = 0
    ) -> CancelResult:
        """Claim an attempt with `cancelled`, or leave the wish with whoever is sending it. Safe to do again.

        *token* recognises one's own earlier call: the same token on a `cancelled` entry counts as `won`. *tries*: those
        of the row so far, for its next attempt.
        """
        token = token or secrets.token_hex(16)
        found: Found | None = None
        while True:
            result = _cancelling(found, reason, detail, token, tries)
            if found is not None and result.entry is found.entry:
                return result
            try:
                await self.write(key, result.entry, found.revision if found else 0)
            except Conflict:
                found = await self.read(key)
            else:
                return result

    async def purge(self, account_id: str, batch: str) -> None:
        """Forget a batch, once each of its rows has recorded its end."""
        await self._bucket.purge_prefix(f"{account_id}.{batch}")


def _settle(answer: asyncio.Future[Delivery], given: Delivery | None, error: Exception | None) -> None:
    if answer.done():
        return
    if given is not None:
        answer.set_result(given)
    else:
        answer.set_exception(error or TimeoutError())


def _cancelling(found: Found | None, reason: str, detail: str, token: str, tries: int) -> CancelResult:
    """Decide from what the ledger holds; an entry returned as it was needs no write."""
    if found is None or found.entry.state == "released":
        tries = max(tries, found.entry.tries if found else 0)
        parts = found.entry.parts_done if found else []
        entry = LedgerEntry(
            state="cancelled", token=token, reason=reason, detail=detail, tries=tries, parts_done=parts, at=utcnow()
        )
        return CancelResult("won", entry)
    entry = found.entry
    if entry.state == "claimed":
        wished = entry if entry.cancel else entry.model_copy(update={"cancel": reason})
        return CancelResult("asked", wished)
    return CancelResult("won" if entry.state == "cancelled" and entry.token == token else "ended", entry)
