"""Recipients' reactions, worked off in the background so that the SMTP answer never waits for them."""

import asyncio
import logging
import ssl
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from functools import cache
from time import monotonic, time
from typing import Any, TypeAlias

import httpx

from practice.mail import compose
from practice.mail.compose import Heard
from practice.mail.recipients import Behaviour
from practice.mail.unsubscribe import unsubscribe

log = logging.getLogger(__name__)

QUEUE = 10_000
KEEP = 10_000
UNSUBSCRIBERS = 8

#: Delivers raw mail to an account's folder; False where there is no such account.
Deliver: TypeAlias = Callable[[str, str, bytes], Awaitable[bool]]
Job: TypeAlias = tuple[float, Behaviour, Heard]
_DELAYED = {Behaviour.REPLY, Behaviour.AUTOREPLY}


@cache
def _trusted() -> ssl.SSLContext:
    return ssl.create_default_context()


class Reactions:
    """Bounded queues of what recipients are about to do, and records of what they did.

    A full queue slows SMTP's answers down instead of filling the memory.
    """

    def __init__(self, deliver: Deliver, reply_delay_seconds: float) -> None:
        self._deliver, self._delay_seconds = deliver, reply_delay_seconds
        self._people: asyncio.Queue[Job] = asyncio.Queue(QUEUE)
        self._servers: asyncio.Queue[Job] = asyncio.Queue(QUEUE)
        self._clicks: asyncio.Queue[Job] = asyncio.Queue(QUEUE)
        self._tasks: list[asyncio.Task[None]] = []
        self._http = httpx.AsyncClient(follow_redirects=False, trust_env=False, verify=_trusted())
        self.clear()

    def clear(self) -> None:
        """Forget what was done and what is due."""
        self.done: Counter[str] = Counter()
        self.records: deque[dict[str, Any]] = deque(maxlen=KEEP)
        self.unsubscribes: deque[dict[str, Any]] = deque(maxlen=KEEP)
        for queue in (self._people, self._servers, self._clicks):
            while not queue.empty():
                queue.get_nowait()

    @property
    def waiting(self) -> int:
        """How many reactions are still due."""
        return self._people.qsize() + self._servers.qsize() + self._clicks.qsize()

    def start(self) -> None:
        """Start the workers."""
        queues = [self._people, self._servers, *([self._clicks] * UNSUBSCRIBERS)]
        self._tasks = [asyncio.create_task(self._work(queue)) for queue in queues]

    async def stop(self) -> None:
        """Stop the workers; what is due is dropped."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.aclose()

    async def put(self, behaviour: Behaviour, recipient: str, mail_from: str, content: bytes) -> None:
        """Let a recipient react to a message it got."""
        delay = self._delay_seconds if behaviour in _DELAYED else 0
        job = (monotonic() + delay, behaviour, Heard.of(recipient, mail_from, content))
        if behaviour is Behaviour.UNSUBSCRIBE:
            await self._clicks.put(job)
        else:
            await (self._people if behaviour in _DELAYED else self._servers).put(job)

    async def _work(self, queue: asyncio.Queue[Job]) -> None:
        while True:
            due, behaviour, heard = await queue.get()
            await asyncio.sleep(max(0.0, due - monotonic()))
            try:
                await self._react(behaviour, heard)
            except Exception as error:
                log.exception("a practice recipient failed to react")
                self._record(behaviour, heard, to="", error=f"{type(error).__name__}: {error}")

    async def _react(self, behaviour: Behaviour, heard: Heard) -> None:
        if behaviour is Behaviour.UNSUBSCRIBE:
            click = await unsubscribe(self._http, heard)
            self.unsubscribes.append(click)
            self._record(behaviour, heard, to=click["url"] or "", error=click["error"])
            return
        to = heard.writer if behaviour is Behaviour.REPLY else heard.mail_from.lower()
        delivered = await self._deliver(to, "INBOX", _composed(behaviour, heard))
        self._record(behaviour, heard, to, None if delivered else "no such account")

    def _record(self, behaviour: Behaviour, heard: Heard, to: str, error: str | None) -> None:
        self.done[behaviour.value if error is None else "failed"] += 1
        self.records.append(
            {"kind": behaviour.value, "recipient": heard.recipient, "to": to, "error": error, "at": time()}
        )


def _composed(behaviour: Behaviour, heard: Heard) -> bytes:
    if behaviour is Behaviour.REPLY:
        return compose.reply(heard)
    if behaviour is Behaviour.AUTOREPLY:
        return compose.autoreply(heard)
    if behaviour is Behaviour.COMPLAIN:
        return compose.complaint(heard)
    return compose.delivery_report(heard, hard=behaviour is Behaviour.BOUNCE)
