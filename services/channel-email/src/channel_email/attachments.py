"""Attachments in base64, encoded once for a whole campaign and kept while they are used."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence

from contracts.commands import Attachment

from channel_email.mime import EncodedAttachment, encode_base64

Fetch = Callable[[str], Awaitable[bytes]]
Encoded = tuple[EncodedAttachment, ...]


class AttachmentCache:
    """Encoded attachments by media key, the least used leaving first; shared by all accounts of the process."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._kept: OrderedDict[str, EncodedAttachment] = OrderedDict()
        self._bytes = 0
        self._loading: dict[str, asyncio.Task[EncodedAttachment]] = {}

    def now(self, attachments: Sequence[Attachment]) -> Encoded | None:
        """Return all of them, or None where one must be fetched."""
        if not attachments:
            return ()
        found = [self._kept.get(one.object) for one in attachments]
        return None if None in found else tuple(one for one in found if one is not None)

    async def load(self, attachments: Sequence[Attachment], fetch: Fetch) -> Encoded:
        """Return all of them, fetching what is not there. Raises what *fetch* raises."""
        return tuple([await self._one(one.object, fetch) for one in attachments])

    async def _one(self, key: str, fetch: Fetch) -> EncodedAttachment:
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        if key not in self._loading:
            task = asyncio.create_task(self._fetch(key, fetch))
            self._loading[key] = task
            task.add_done_callback(lambda _: self._loading.pop(key, None))
        return await asyncio.shield(self._loading[key])

    async def _fetch(self, key: str, fetch: Fetch) -> EncodedAttachment:
        data = await fetch(key)
        encoded = EncodedAttachment(await asyncio.to_thread(encode_base64, data))
        size = len(encoded.body)
        if size <= self._limit:
            self._kept[key] = encoded
            self._bytes += size
        while self._bytes > self._limit:
            _, gone = self._kept.popitem(last=False)
            self._bytes -= len(gone.body)
        return encoded
