"""Key-value buckets with typed values: compare-and-set, keys that expire, and no ghost writes."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Generic, NamedTuple, TypeVar

import nats.errors
from nats.js import api
from nats.js import errors as js_errors
from pydantic import BaseModel, ValidationError

from servicekit import stream_reader
from servicekit.bus import Bus
from servicekit.bus_errors import is_wrong_last, translated
from servicekit.errors import Conflict, Permanent, Unavailable
from servicekit.watch import BucketWatch

__all__ = ["Bucket", "BucketWatch", "Entry"]

V = TypeVar("V", bound=BaseModel)
_GONE = ("DEL", "PURGE")
_READ_BACK_PAUSES_SECONDS = (0.0, 0.1, 0.3)
_WRITE = "Kurir-Write"
"""Header that tells one write from another that says the same, such as the heartbeat before."""


class _Stored(NamedTuple):
    data: bytes | None
    revision: int
    write: str = ""


class Entry(NamedTuple, Generic[V]):
    """A value and the revision to name in the next `update`."""

    value: V
    revision: int


class Bucket(Generic[V]):
    """A bucket of one kind of value.

    Every call raises Unavailable where NATS is away or silent. A write that got no answer is read back first: if it is
    there, it counts as done; else Unavailable says that it may still come.
    """

    def __init__(self, bus: Bus, name: str, model: type[V], *, timeout: float = 5.0) -> None:
        """*timeout*: seconds for one round trip."""
        self.bus, self.name, self.model, self.timeout = bus, name, model, timeout
        self.stream = f"KV_{name}"
        self._prefix = f"$KV.{name}."

    async def get(self, key: str) -> Entry[V] | None:
        """Return value and revision, None where there is none. Raises Permanent for a value that does not parse."""
        stored = await self._last(key)
        return None if stored.data is None else Entry(self.parse(key, stored.data), stored.revision)

    async def was_deleted(self, key: str) -> bool:
        """Return whether somebody deleted the key, as against: it exists, or was never there (a bucket made anew)."""
        stored = await self._last(key)
        return stored.data is None and stored.revision > 0

    async def create(self, key: str, value: V, *, ttl_seconds: float | None = None) -> int:
        """Write a key that does not exist; return its revision. Raises Conflict where it does."""
        try:
            return await self._write(key, self.dump(value), 0, ttl_seconds)
        except Conflict:
            last = await self._last(key)
            if last.data is not None or last.revision == 0:
                raise
            # a delete or an expiry left a marker behind: the key is free, under the marker's revision
            return await self._write(key, self.dump(value), last.revision, ttl_seconds)

    async def update(self, key: str, value: V, revision: int, *, ttl_seconds: float | None = None) -> int:
        """Replace the value at *revision*; return the new one. Raises Conflict where it is no longer the last.

        Without *ttl_seconds* the key lives for ever, even if it was to expire before.
        """
        return await self._write(key, self.dump(value), revision, ttl_seconds)

    async def put(self, key: str, value: V, *, ttl_seconds: float | None = None) -> int:
        """Write whatever was there; return the revision."""
        return await self._write(key, self.dump(value), None, ttl_seconds)

    async def delete(self, key: str, revision: int | None = None) -> None:
        """Delete the key, leaving a marker that watchers see; at *revision* only, if given (Conflict)."""
        await self._write(key, b"", revision, None, {"KV-Operation": "DEL"})

    async def purge(self, key: str) -> None:
        """Delete the key and forget its history."""
        await self._write(key, b"", None, None, {"KV-Operation": "PURGE", api.Header.ROLLUP: "sub"})

    async def purge_prefix(self, prefix: str) -> None:
        """Remove every key under *prefix* without a trace; watchers notice at their next listing."""
        self.bus.require()
        with translated(self.name):
            await self.bus.js.purge_stream(self.stream, subject=self._prefix + under(prefix))

    async def keys(self, prefix: str = "") -> list[str]:
        """Return the keys that exist under *prefix* (whole tokens: `acc_1` means `acc_1.…`), or all."""
        return await self.keys_like(under(prefix))

    async def keys_like(self, pattern: str) -> list[str]:
        """Return the keys that match a NATS pattern: `*` are those of one token."""
        return [key async for key, _, _ in self._listed(pattern, headers_only=True)]

    async def items(self, prefix: str = "") -> dict[str, Entry[V]]:
        """Return keys and values under *prefix*, or all."""
        return {
            key: Entry(self.parse(key, data), revision) async for key, data, revision in self._listed(under(prefix))
        }

    def subject(self, key: str) -> str:
        """Return the key's subject, for writing through the bus's pipe."""
        return self._prefix + key

    def dump(self, value: V) -> bytes:
        """Return a value as it is stored."""
        return value.model_dump_json().encode()

    def parse(self, key: str, data: bytes) -> V:
        """Return a stored value. Raises Permanent("malformed")."""
        try:
            return self.model.model_validate_json(data)
        except ValidationError as error:
            raise Permanent("malformed", f"{self.name}/{key}: {error.error_count()} fields do not fit") from error

    async def _write(
        self, key: str, data: bytes, last: int | None, ttl_seconds: float | None, headers: dict[str, str] | None = None
    ) -> int:
        self.bus.require()
        all_headers = {**(headers or {}), _WRITE: secrets.token_hex(8)}
        if last is not None:
            all_headers[api.Header.EXPECTED_LAST_SUBJECT_SEQUENCE] = str(last)
        if ttl_seconds is not None:
            all_headers[api.Header.MSG_TTL] = f"{max(1, round(ttl_seconds))}s"
        try:
            with translated(f"{self.name}/{key}"):
                ack = await self.bus.js.publish(self._prefix + key, data, timeout=self.timeout, headers=all_headers)
        except js_errors.APIError as error:
            if is_wrong_last(error):
                raise Conflict(f"{self.name}/{key} was written by somebody else") from error
            raise Unavailable(f"{self.name}/{key}: {error}") from error
        except Unavailable as error:
            if not isinstance(error.__cause__, TimeoutError | nats.errors.ConnectionClosedError):
                raise
            return await self._read_back(key, all_headers[_WRITE], error)
        return ack.seq

    async def _read_back(self, key: str, write: str, error: Unavailable) -> int:
        """Return the revision of a write that got no answer but happened. Raises *error* if it is not there (yet)."""
        for pause in _READ_BACK_PAUSES_SECONDS:  # the server may answer the reading before it has stored the write
            await asyncio.sleep(pause)
            stored = await self._last(key)
            if stored.write == write:
                return stored.revision
        raise error

    async def _last(self, key: str) -> _Stored:
        """Return the last value from the stream's leader: what a follower says may be old."""
        self.bus.require()
        try:
            with translated(f"{self.name}/{key}"):
                msg = await self.bus.js.get_msg(self.stream, subject=self._prefix + key)
        except js_errors.NotFoundError as error:
            if error.err_code == 10_059:
                raise Unavailable(f"bucket {self.name} does not exist: apply the topology") from error
            return _Stored(None, 0)
        headers = msg.headers or {}
        gone = headers.get("KV-Operation") in _GONE or "Nats-Marker-Reason" in headers
        return _Stored(None if gone else (msg.data or b""), msg.seq or 0, headers.get(_WRITE, ""))

    async def _listed(self, pattern: str, *, headers_only: bool = False) -> AsyncIterator[tuple[str, bytes, int]]:
        self.bus.require()
        subject = self._prefix + pattern
        with translated(self.name):
            async for msg in stream_reader.read(
                self.bus.js, self.stream, subject, last_per_subject=True, headers_only=headers_only
            ):
                headers = msg.headers or {}
                if headers.get("KV-Operation") not in _GONE and "Nats-Marker-Reason" not in headers:
                    yield msg.subject[len(self._prefix) :], msg.data, msg.metadata.sequence.stream


def under(prefix: str) -> str:
    """Return the NATS pattern of the keys under a prefix of whole tokens."""
    return f"{prefix.rstrip('.')}.>" if prefix else ">"
