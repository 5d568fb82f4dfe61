"""A small client of Kurir's own REST APIs, as any program would write it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Self, TypeVar

import httpx

from kurir.home import Trouble

Json = dict[str, Any]
T = TypeVar("T")


class Rest:
    """Calls accounts and campaigns with one token; an answer that is an error raises Trouble with its words."""

    def __init__(self, services: dict[str, str], token: str) -> None:
        self.services = services
        self.http = httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=60, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    async def call(self, method: str, service: str, path: str, **options: Any) -> Json:
        """Return the JSON answer ({} where there is none); waits and repeats while the service says 503."""
        for _ in range(30):
            answer = await self.http.request(method, f"{self.services[service]}{path}", **options)
            if answer.status_code != 503:
                break
            await asyncio.sleep(min(5.0, float(answer.headers.get("Retry-After", 1))))
        if answer.is_error:
            raise Trouble(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        found: Json = answer.json() if answer.content else {}
        return found

    async def items(self, service: str, path: str, **params: Any) -> AsyncIterator[Json]:
        """Yield every item of a list, page by page."""
        cursor: str | None = None
        while True:
            page = await self.call("GET", service, path, params={**params, **({"cursor": cursor} if cursor else {})})
            for item in page["items"]:
                yield item
            cursor = page.get("next_cursor")
            if not cursor:
                return


async def wait_for(what: str, ask: Callable[[], Awaitable[T | None]], seconds: float, every: float = 0.3) -> T:
    """Return the first truthy answer of *ask*; raises Trouble naming *what* after *seconds*."""
    deadline = time.monotonic() + seconds
    while True:
        if found := await ask():
            return found
        if time.monotonic() > deadline:
            raise Trouble(f"waited {seconds:.0f} s for {what}")
        await asyncio.sleep(every)
