"""What people do by themselves with a message: have it delivered, read it, answer it."""

import asyncio
import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

from practice.whatsapp.messages import Message
from practice.whatsapp.people import Acts, Person

if TYPE_CHECKING:
    from practice.whatsapp.server import ChatServer

log = logging.getLogger(__name__)

_ANSWERS = {Acts.REPLY, Acts.STOP}
_READS = {Acts.READ, *_ANSWERS}


class Acting:
    """People about to act, and a count of what they did."""

    def __init__(self, server: "ChatServer") -> None:
        self._server = server
        self._tasks: set[asyncio.Task[None]] = set()
        self.done: Counter[str] = Counter()

    @property
    def waiting(self) -> int:
        """How many people are about to act."""
        return len(self._tasks)

    def received(self, person: Person, message: Message) -> None:
        """Let a person act on a message, in its own time."""
        if person.acts is Acts.OFF:
            return
        task = asyncio.create_task(self._safely(person, message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Stop everyone; what they were about to do is dropped."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _safely(self, person: Person, message: Message) -> None:
        try:
            await self._act(person, message)
        except Exception:
            log.exception("a practice person failed to act")

    async def _act(self, person: Person, message: Message) -> None:
        settings = self._server.settings
        await asyncio.sleep(settings.deliver_seconds)
        self._did("delivered", message, 2)
        if person.acts not in _READS:
            return
        await asyncio.sleep(settings.read_seconds)
        self._did("read", message, 3)
        if person.acts in _ANSWERS:
            await asyncio.sleep(settings.reply_seconds)
            self._server.write(person.phone, message.sender, self._answer(person))
            self.done[person.acts.value] += 1

    def _did(self, what: str, message: Message, ack: int) -> None:
        self._server.acknowledge(message, ack)
        self.done[what] += 1

    @staticmethod
    def _answer(person: Person) -> dict[str, Any]:
        return {"type": "chat", "body": "STOP" if person.acts is Acts.STOP else person.says}
