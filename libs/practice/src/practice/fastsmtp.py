"""A bare SMTP server for benchmarks: it takes everything, as fast as it can, at a round trip of one's choice.

`python -m practice.fastsmtp [--port 0] [--rtt-ms 0]` prints one JSON line with its port when ready, another
with its counts when stopped. It announces PIPELINING and AUTH, takes any password, and checks nothing: what
must be checked is checked against `practice.mail`.
"""

import argparse
import asyncio
import importlib.util
import json
import re
import signal
import sys
import time
from array import array
from asyncio.subprocess import PIPE, Process
from bisect import bisect_right
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

EHLO = b"250-fast.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 AUTH PLAIN LOGIN\r\n"
_MESSAGE_ID = re.compile(rb"^message-id:\s*(\S+)", re.IGNORECASE | re.MULTILINE)
_ANSWERS = {
    b"EHLO": EHLO,
    b"DATA": b"354 go\r\n",
    b"QUIT": b"221 bye\r\n",
}
_LOGIN = (b"334 VXNlcm5hbWU6\r\n", b"334 UGFzc3dvcmQ6\r\n", b"235 ok\r\n")


@dataclass(slots=True)
class Counts:
    """What came in since the start."""

    received: int = 0
    connections: int = 0
    ids: set[int] = field(default_factory=set)
    times: "array[float]" = field(default_factory=lambda: array("d"))
    """When each was accepted, by the machine's monotonic clock, in seconds."""

    def add(self, content: bytes) -> None:
        """Count one message."""
        self.received += 1
        self.times.append(time.monotonic())
        found = _MESSAGE_ID.search(content)
        if found:
            self.ids.add(hash(found.group(1)))

    def as_dict(self) -> dict[str, int]:
        """Return the counts as JSON-ready values."""
        return {"received": self.received, "distinct": len(self.ids), "connections": self.connections}

    def since(self, moment: float) -> dict[str, float]:
        """Return how many were accepted after *moment* (`time.monotonic()` of any process here), and when the last was."""
        after = len(self.times) - bisect_right(self.times, moment)
        return {"after": after, "last": self.times[-1] if self.times else 0.0}


class FastSession(asyncio.Protocol):
    """One connection; every chunk received waits for the round trip before it is looked at."""

    def __init__(self, counts: Counts, rtt_seconds: float) -> None:
        self._counts, self._rtt_seconds = counts, rtt_seconds
        self._buffer = bytearray()
        self._in_content = False
        self._login_steps: list[bytes] = []
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._transport = transport  # type: ignore[assignment]
        self._counts.connections += 1
        self._transport.write(b"220 fast.test\r\n")

    def data_received(self, data: bytes) -> None:
        """Take a chunk, after the round trip."""
        if self._rtt_seconds:
            asyncio.get_running_loop().call_later(self._rtt_seconds, self._feed, data)
        else:
            self._feed(data)

    def _feed(self, data: bytes) -> None:
        self._buffer += data
        answers = []
        while True:
            ending = b"\r\n.\r\n" if self._in_content else b"\r\n"
            end = self._buffer.find(ending)
            if end < 0:
                break
            taken = bytes(self._buffer[:end])
            del self._buffer[: end + len(ending)]
            answers.append(self._accept(taken) if self._in_content else self._answer(taken))
        if answers and not self._transport.is_closing():
            self._transport.write(b"".join(answers))
            if answers[-1] == _ANSWERS[b"QUIT"]:
                self._transport.close()

    def _accept(self, content: bytes) -> bytes:
        self._in_content = False
        self._counts.add(content)
        return b"250 ok\r\n"

    def _answer(self, line: bytes) -> bytes:
        if self._login_steps:
            return self._login_steps.pop(0)
        verb = line[:4].upper()
        self._in_content = verb == b"DATA"
        if verb == b"AUTH":
            return self._begin_login(line.split())
        if verb == b"XCNT":
            words = line.split()
            found = self._counts.since(float(words[1])) if len(words) > 1 else self._counts.as_dict()
            return b"250 " + json.dumps(found).encode() + b"\r\n"
        return _ANSWERS.get(verb, b"250 ok\r\n")

    def _begin_login(self, words: list[bytes]) -> bytes:
        steps = list(_LOGIN if words[1].upper() == b"LOGIN" else (b"334 \r\n", _LOGIN[-1]))
        self._login_steps = steps[max(0, len(words) - 2) :]
        return self._login_steps.pop(0)


@dataclass(frozen=True, slots=True)
class FastSmtp:
    """A sink in another process."""

    host: str
    port: int
    process: Process

    async def counts(self) -> dict[str, int]:
        """Return received, distinct (Message-IDs) and connections, this question's own included."""
        return {name: int(count) for name, count in (await ask(self.host, self.port)).items()}


async def ask(host: str, port: int, since: float | None = None) -> dict[str, float]:
    """Return the counts; with *since* (monotonic seconds) how many came `after` it, and when the `last` did."""
    reader, writer = await asyncio.open_connection(host, port)
    await reader.readline()
    writer.write(b"XCNT\r\n" if since is None else f"XCNT {since!r}\r\n".encode())
    answer = await reader.readline()
    writer.close()
    return {str(name): float(value) for name, value in json.loads(answer[4:]).items()}


@asynccontextmanager
async def running(rtt_ms: float = 0) -> AsyncIterator[FastSmtp]:
    """Run the sink in a subprocess until the block ends."""
    command = [sys.executable, "-m", "practice.fastsmtp", "--rtt-ms", str(rtt_ms)]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    assert process.stdout is not None
    try:
        ready = json.loads(await process.stdout.readline())
        yield FastSmtp(ready["host"], ready["port"], process)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def serve(host: str, port: int, rtt_seconds: float) -> None:
    """Run until a signal asks to stop."""
    counts, stop, loop = Counts(), asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await loop.create_server(lambda: FastSession(counts, rtt_seconds), host, port)
    _say({"host": host, "port": int(server.sockets[0].getsockname()[1])})
    await stop.wait()
    server.close()
    _say(counts.as_dict())


def _say(line: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run on uvloop where it is installed."""
    parser = argparse.ArgumentParser(prog="python -m practice.fastsmtp")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--rtt-ms", type=float, default=0, help="round trip to imitate, in milliseconds")
    given = parser.parse_args()
    runner = importlib.import_module("uvloop") if importlib.util.find_spec("uvloop") else asyncio
    runner.run(serve(given.host, given.port, given.rtt_ms / 1000))


if __name__ == "__main__":
    main()
