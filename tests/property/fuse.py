"""A fuse in the wire between a service and its servers: after so many operations whoever uses it is dead, or stands still."""

import asyncio
import inspect
from collections.abc import AsyncIterator
from typing import Any


class Killed(BaseException):
    """Nothing more of this process reaches anybody: SIGKILL."""


class Fuse:
    """Lets *steps* operations pass. Then every further one raises Killed, or (*frozen*) waits for `thaw`."""

    def __init__(self, steps: int, *, frozen: bool = False) -> None:
        self.left, self.frozen = steps, frozen
        self.blown = asyncio.Event()
        self._thawed = asyncio.Event()

    def thaw(self) -> None:
        """Let whoever stands still go on: SIGCONT."""
        self._thawed.set()

    async def burn(self) -> None:
        """Let one operation pass, or none."""
        if self.left > 0:
            self.left -= 1
            return
        self.blown.set()
        if not self.frozen:
            raise Killed
        await self._thawed.wait()


class _Wired:
    """Stands for a database, a collection, a bus or its pipe; whatever is awaited on it burns the fuse first."""

    def __init__(self, target: Any, fuse: Fuse) -> None:
        self._target, self._fuse = target, fuse

    def __getitem__(self, name: str) -> "_Wired":
        return _Wired(self._target[name], self._fuse)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if name == "pipe":
            return _Wired(found, self._fuse)
        if inspect.iscoroutinefunction(found):
            return self._awaited(found)
        return self._yielded(found) if inspect.isasyncgenfunction(found) else found

    def _awaited(self, work: Any) -> Any:
        async def burning(*args: Any, **named: Any) -> Any:
            await self._fuse.burn()
            return await work(*args, **named)

        return burning

    def _yielded(self, work: Any) -> Any:
        async def burning(*args: Any, **named: Any) -> AsyncIterator[Any]:
            await self._fuse.burn()
            async for one in work(*args, **named):
                yield one

        return burning


def wired(target: Any, fuse: Fuse | None) -> Any:
    """Return *target* with the fuse in its wire."""
    return target if fuse is None else _Wired(target, fuse)
