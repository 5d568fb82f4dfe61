"""Many messages of which only the whole matters: posted through the pipe, and waited for together."""

import asyncio

from servicekit.direct import Delivery
from servicekit.pipe import Pipe, acknowledgement

_STORED = b'{"stream":'
MESSAGES, BYTES = 500, 4 << 20
"""How much may be out at a time; large messages must not pile up in memory."""


class Burst:
    """One list of messages on its way to a stream. `post` each, then wait for `end`."""

    def __init__(self, pipe: Pipe) -> None:
        """Nothing is sent yet."""
        self._pipe = pipe
        self._posted = self._answered = self._bytes = 0
        self._error: Exception | None = None
        self._heard = asyncio.Event()

    async def post(self, subject: bytes, payload: bytes, head: bytes) -> None:
        """Send one; waits while too much is out. Raises what the stream, or the pipe, answered to an earlier one."""
        if self._posted - self._answered >= MESSAGES:
            await self._until(self._posted - MESSAGES // 2)
        if self._bytes >= BYTES:
            await self._until(self._posted)
            self._bytes = 0
        self._posted += 1
        self._bytes += len(payload)
        self._pipe.post(subject, payload, self._on_answer, head)

    async def end(self) -> int:
        """Return how many were acknowledged once all are. Raises the first refusal: nats' errors, as Pipe.post names."""
        await self._until(self._posted)
        return self._posted

    async def _until(self, answered: int) -> None:
        while self._answered < answered and self._error is None:
            self._heard.clear()
            await self._heard.wait()
        if self._error is not None:
            raise self._error

    def _on_answer(self, answer: Delivery | None, error: Exception | None) -> None:
        self._answered += 1
        if self._error is None:
            self._error = error or _refusal(answer)
        self._heard.set()


def _refusal(answer: Delivery | None) -> Exception | None:
    """Return what a stream answered instead of an acknowledgement, None where it has stored the message."""
    if answer is None or (answer.data.startswith(_STORED) and b'"error"' not in answer.data):
        return None
    try:
        acknowledgement(answer)
    except Exception as error:  # refused, or an answer nobody understands
        return error
    return None
