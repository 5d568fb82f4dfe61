"""Object stores for what is too large for a message: content under its own SHA-256, in chunks, up to 30 MB."""

import base64
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nats.js import api
from nats.js import errors as js_errors

from servicekit import stream_reader, tracing
from servicekit.bus import Bus
from servicekit.bus_errors import translated
from servicekit.clock import utcnow
from servicekit.errors import NotFound, Permanent, TooLarge

CHUNK_BYTES = 128 * 1024
MAX_BYTES = 30 * 1024 * 1024
VAULT_BYTES = 96 * 1024 * 1024
"""The largest object of `vault`: a session of 64 MB, which sealing makes a third longer."""
CHUNKS_AT_ONCE = 8


@dataclass(frozen=True)
class Stored:
    """An object's description; `id` is the SHA-256 of its content in hex."""

    id: str
    size: int
    modified: datetime
    headers: dict[str, str]


class ObjectBucket:
    """One object store, such as `media` or `vault` (NATS ADR-20's layout, so `nats object` reads it too)."""

    def __init__(self, bus: Bus, name: str, *, max_bytes: int = MAX_BYTES) -> None:
        """*max_bytes*: larger content is refused."""
        self.bus, self.name, self.max_bytes = bus, name, max_bytes
        self._stream = f"OBJ_{name}"

    async def put(self, data: bytes, headers: dict[str, str] | None = None) -> str:
        """Store and return the id; the same content again only renews its date. Raises TooLarge, Unavailable."""
        if len(data) > self.max_bytes:
            raise TooLarge(f"{len(data)} bytes, at most {self.max_bytes} are taken")
        object_id = hashlib.sha256(data).hexdigest()
        meta = await self._meta(object_id)
        if meta is None:
            meta = await self._put_chunks(data, object_id)
        if headers:
            meta["headers"] = {name: [value] for name, value in headers.items()}
        await self._put_meta(object_id, meta)
        return object_id

    async def get(self, object_id: str) -> bytes:
        """Return the content. Raises NotFound; Permanent where what is stored does not fit its id."""
        data = b"".join([chunk async for chunk in self.stream(object_id)])
        if hashlib.sha256(data).hexdigest() != object_id:
            raise Permanent("damaged", f"{self.name}/{object_id} does not fit its digest")
        return data

    async def stream(self, object_id: str) -> AsyncIterator[bytes]:
        """Yield the content in chunks. Raises NotFound, Unavailable."""
        meta = await self._meta(object_id)
        if meta is None:
            raise NotFound(f"{self.name}/{object_id}")
        if not meta["size"]:
            return
        with translated(self.name):
            async for msg in stream_reader.read(self.bus.js, self._stream, self._chunk_subject(meta["nuid"])):
                yield msg.data

    async def info(self, object_id: str) -> Stored:
        """Return size and date. Raises NotFound."""
        meta = await self._meta(object_id)
        if meta is None:
            raise NotFound(f"{self.name}/{object_id}")
        return _stored(meta)

    async def delete(self, object_id: str) -> None:
        """Remove the content for good; nothing happens where there is none."""
        meta = await self._meta(object_id)
        if meta is not None:
            with translated(self.name):
                await self.bus.js.purge_stream(self._stream, subject=self._meta_subject(object_id))
                await self.bus.js.purge_stream(self._stream, subject=self._chunk_subject(meta["nuid"]))

    async def all(self) -> AsyncIterator[Stored]:
        """Yield what is stored; for collecting orphans."""
        self.bus.require()
        with translated(self.name):
            async for msg in stream_reader.read(
                self.bus.js, self._stream, f"$O.{self.name}.M.>", last_per_subject=True
            ):
                meta = json.loads(msg.data)
                if not meta.get("deleted"):
                    yield _stored(meta)

    async def _put_chunks(self, data: bytes, object_id: str) -> dict[str, Any]:
        self.bus.require()
        nuid = tracing.new_id()
        subject = self._chunk_subject(nuid)
        chunks = [data[i : i + CHUNK_BYTES] for i in range(0, len(data), CHUNK_BYTES)]
        with translated(self.name):
            try:
                for i in range(0, len(chunks), CHUNKS_AT_ONCE):
                    sent = [await self.bus.pipe.publish(subject, c) for c in chunks[i : i + CHUNKS_AT_ONCE]]
                    for acknowledged in sent:
                        await acknowledged
            except Exception:
                if self.bus.connected:
                    await self.bus.js.purge_stream(self._stream, subject=subject)
                raise
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode()
        return {
            "name": object_id,
            "bucket": self.name,
            "nuid": nuid,
            "size": len(data),
            "chunks": len(chunks),
            "digest": f"SHA-256={digest}",
            "options": {"max_chunk_size": CHUNK_BYTES},
        }

    async def _put_meta(self, object_id: str, meta: dict[str, Any]) -> None:
        self.bus.require()
        data = json.dumps({**meta, "mtime": utcnow().isoformat()}).encode()
        with translated(self.name):
            await self.bus.js.publish(self._meta_subject(object_id), data, headers={api.Header.ROLLUP: "sub"})

    async def _meta(self, object_id: str) -> dict[str, Any] | None:
        self.bus.require()
        try:
            with translated(self.name):
                msg = await self.bus.js.get_last_msg(self._stream, self._meta_subject(object_id))
        except js_errors.NotFoundError:
            return None
        meta: dict[str, Any] = json.loads(msg.data or b"{}")
        return None if meta.get("deleted") else meta

    def _meta_subject(self, object_id: str) -> str:
        return f"$O.{self.name}.M.{base64.urlsafe_b64encode(object_id.encode()).decode()}"

    def _chunk_subject(self, nuid: str) -> str:
        return f"$O.{self.name}.C.{nuid}"


def _stored(meta: dict[str, Any]) -> Stored:
    modified = datetime.fromisoformat(meta["mtime"]).astimezone(UTC)
    headers = {name: values[0] for name, values in (meta.get("headers") or {}).items() if values}
    return Stored(meta["name"], int(meta["size"]), modified, headers)
