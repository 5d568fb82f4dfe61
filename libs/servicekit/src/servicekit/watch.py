"""The state of a bucket in memory: survives reconnects, lists again every minute, and knows whether it is behind."""

import asyncio
import contextlib
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar, cast

import nats.errors
from nats.js import errors as js_errors
from nats.js.kv import KeyValue
from pydantic import BaseModel, ValidationError

from servicekit.bus import Bus
from servicekit.logs import get_logger

V = TypeVar("V", bound=BaseModel)
OnChange = Callable[[str, V | None, int], Awaitable[None] | None]

RELIST_SECONDS = 60.0
_log = get_logger("servicekit.watch")


class BucketWatch(Generic[V]):
    """Keeps `state` (key → (value, revision)) and reports each change as (key, value or None, revision).

    `ready` is set after the first listing. A value that does not parse keeps its last good state and is logged.
    """

    def __init__(
        self, bus: Bus, name: str, model: type[V], on_change: OnChange[V] | None = None, *, keys: str = ">"
    ) -> None:
        """*keys*: a NATS pattern; *on_change* may be a coroutine function, and is awaited in order."""
        self.bus, self.name, self.model, self.keys = bus, name, model, keys
        self.state: dict[str, tuple[V, int]] = {}
        self.ready = asyncio.Event()
        self.revision_seen = 0
        self._listed_to = 0
        self._marks: dict[str, tuple[int, int]] = {}
        self._on_change = on_change
        self._kick = asyncio.Event()
        bus.on_reconnect(self._list_again)

    async def run(self) -> None:
        """Watch until cancelled; a background task for `build_api`."""
        while True:
            self._kick.clear()
            try:
                if self.bus.connected:
                    await self._watch_once()
                    continue
            except (nats.errors.Error, js_errors.Error, TimeoutError, OSError) as error:
                _log.warning("a watch begins anew", bucket=self.name, error=repr(error)[:200])
            await asyncio.sleep(0.5)

    async def behind(self, timeout: float = 2.0) -> bool | None:
        """Return whether the bucket holds something this watch has not delivered; None where nobody answered."""
        if not self.bus.connected or not self.ready.is_set():
            return None
        try:
            async with asyncio.timeout(timeout):
                return await self._is_behind()
        except (nats.errors.Error, js_errors.Error, TimeoutError, OSError):
            return None

    async def _is_behind(self) -> bool:
        info = await self.bus.js.stream_info(f"KV_{self.name}")
        if info.state.last_seq <= self.revision_seen:
            return info.state.last_seq < self.revision_seen  # a bucket made anew begins at 1 again
        try:  # the last sequence may have expired or been purged: what counts is what is still there
            last = await self.bus.js.get_msg(f"KV_{self.name}", subject=f"$KV.{self.name}.{self.keys}")
        except js_errors.NotFoundError:
            return False
        return (last.seq or 0) > self.revision_seen

    async def _list_again(self) -> None:
        self._kick.set()

    async def _watch_once(self) -> None:
        floor = (await self.bus.js.stream_info(f"KV_{self.name}")).state.last_seq
        kv = await self.bus.js.key_value(self.name)
        watcher = await kv.watch(self.keys, inactive_threshold=30.0)
        try:
            await self._follow(watcher, floor)
        finally:
            with contextlib.suppress(nats.errors.Error, TimeoutError):
                await watcher.stop()  # type: ignore[no-untyped-call]

    async def _follow(self, watcher: KeyValue.KeyWatcher, floor: int) -> None:
        listed: set[str] | None = set()
        self._listed_to = 0
        until = asyncio.get_running_loop().time() + RELIST_SECONDS
        kicked = asyncio.ensure_future(self._kick.wait())
        try:
            while True:
                left = until - asyncio.get_running_loop().time()
                update = asyncio.ensure_future(watcher.updates(max(left, 0.01)))  # type: ignore[no-untyped-call]
                await asyncio.wait({update, kicked}, return_when=asyncio.FIRST_COMPLETED)
                if kicked.done() or update.exception() is not None:
                    update.cancel()
                    return  # a reconnect, or time for the next listing
                listed = await self._take(update.result(), listed, floor)
                waiting = watcher._updates  # noqa: SLF001  # two tasks per key would make long lists slow
                while not waiting.empty():
                    listed = await self._take(cast("KeyValue.Entry | None", waiting.get_nowait()), listed, floor)
        finally:
            kicked.cancel()

    async def _take(self, entry: KeyValue.Entry | None, listed: set[str] | None, floor: int) -> set[str] | None:
        if entry is None:
            for key in set(self.state) - (listed or set()):
                await self._gone(key, 0)
            self.revision_seen = max(floor, self._listed_to)  # lower than before where the bucket was made anew
            self.ready.set()
            return None
        revision = entry.revision or 0
        if entry.operation:
            await self._gone(entry.key, revision)
        else:
            if listed is not None:
                listed.add(entry.key)
            await self._changed(entry.key, entry.value or b"", revision)
        if listed is None:
            self.revision_seen = max(self.revision_seen, revision)
        self._listed_to = max(self._listed_to, revision)
        return listed

    async def _gone(self, key: str, revision: int) -> None:
        self._marks.pop(key, None)
        if self.state.pop(key, None) is not None:
            await self._report(key, None, revision)

    async def _changed(self, key: str, data: bytes, revision: int) -> None:
        mark = (revision, hash(data))
        if self._marks.get(key) == mark:
            return  # listed again
        self._marks[key] = mark
        try:
            value = self.model.model_validate_json(data)
        except ValidationError as error:
            _log.error("a value does not parse", bucket=self.name, key=key, fields=error.error_count())
            return
        self.state[key] = (value, revision)
        await self._report(key, value, revision)

    async def _report(self, key: str, value: V | None, revision: int) -> None:
        if self._on_change is None:
            return
        try:
            result: Any = self._on_change(key, value, revision)
            if inspect.isawaitable(result):
                await result
        except Exception as error:
            _log.error("a watch's callback failed", bucket=self.name, key=key, exc_info=error)
