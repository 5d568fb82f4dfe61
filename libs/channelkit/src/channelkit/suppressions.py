"""Who may not be written to: looked up for a whole pull at once, since one question per message would halve a lane."""

import asyncio
from collections.abc import Iterable

import orjson
from contracts.channels import Channel
from contracts.state import SuppressionEntry
from nats.aio.msg import Msg
from pydantic import ValidationError
from servicekit.bus import Bus
from servicekit.errors import Unavailable
from servicekit.secrets import AddressHasher

BUCKET = "suppressions"
_SUBJECT = f"$KV.{BUCKET}."
_MOST_KEYS = 500
"""The server answers for at most 1,024 subjects at once."""


class Suppressions:
    """The suppression list of one channel, under every address key there ever was."""

    def __init__(self, bus: Bus, channel: Channel, hasher: AddressHasher) -> None:
        """Read-only: campaigns writes the bucket."""
        self._bus, self._channel, self._hasher = bus, channel, hasher

    async def of(self, addresses: Iterable[str], timeout: float = 5.0) -> dict[str, SuppressionEntry]:
        """Return the entries of those addresses that have one. Raises Unavailable where nobody answers in time."""
        asked = {address: [self._subject(digest) for digest in self._digests(address)] for address in addresses}
        subjects = list({subject for several in asked.values() for subject in several})
        stored: dict[str, bytes] = {}
        for start in range(0, len(subjects), _MOST_KEYS):
            stored |= await self._last(subjects[start : start + _MOST_KEYS], timeout)
        if not stored:
            return {}
        found = {a: [_entry(stored[s]) for s in several if s in stored] for a, several in asked.items()}
        return {address: _strictest(entries) for address, entries in found.items() if entries}

    def _digests(self, address: str) -> list[str]:
        return self._hasher.digests(self._channel, address)

    def _subject(self, digest: str) -> str:
        return f"{_SUBJECT}{self._channel}.{digest}"

    async def _last(self, subjects: list[str], timeout: float) -> dict[str, bytes]:
        """Ask for the last value of many keys in one request (NATS 2.11, ADR-31's multi_last)."""
        self._bus.require()
        nc, found = self._bus.nc, {}
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def answer(msg: Msg) -> None:
            headers = msg.headers or {}
            status = headers.get("Status")
            if status is None:
                if headers.get("KV-Operation") not in ("DEL", "PURGE"):
                    found[headers["Nats-Subject"]] = msg.data
            elif not done.done():
                good = status in ("204", "404")
                done.set_result(None) if good else done.set_exception(Unavailable(f"{BUCKET}: {status}"))

        inbox = nc.new_inbox()
        sub = await nc.subscribe(inbox, cb=answer)
        try:
            body = orjson.dumps({"multi_last": subjects})
            await nc.publish(f"$JS.API.DIRECT.GET.KV_{BUCKET}", body, reply=inbox)
            async with asyncio.timeout(timeout):
                await done
        except TimeoutError as error:
            raise Unavailable(f"{BUCKET}: no answer within {timeout:g} s") from error
        finally:
            await sub.unsubscribe()
        return found


def _strictest(entries: list[SuppressionEntry]) -> SuppressionEntry:
    """Return the one that forbids even an answer, where an address has several, under keys of different age."""
    return next((entry for entry in entries if entry.forbids("reply")), entries[0])


def _entry(data: bytes) -> SuppressionEntry:
    try:
        return SuppressionEntry.model_validate_json(data)
    except ValidationError:  # rather one message too few than one to somebody who forbade it
        return SuppressionEntry.model_validate({"reason": "blocked", "at": "1970-01-01T00:00:00Z"})
