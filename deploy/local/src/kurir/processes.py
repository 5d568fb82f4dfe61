"""A child process that is kept alive: started, watched, restarted with backoff, stopped."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

STOP_SECONDS = 15.0
"""A service has 10 s for its own graceful stop; after this it is killed."""


@dataclass
class Child:
    """One process of the platform."""

    name: str
    command: Sequence[str]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    restarts: int = 0
    process: asyncio.subprocess.Process | None = None
    started_at: float = 0.0
    stopping: bool = False

    @property
    def pid(self) -> int | None:
        """Return the process id while it runs."""
        return self.process.pid if self.process and self.process.returncode is None else None

    async def start(self) -> None:
        """Start the process in a group of its own, so that Ctrl-C reaches only the supervisor."""
        environment = {**os.environ, **self.env, "PYTHONUNBUFFERED": "1"}
        with self.log.open("ab") as out:
            self.process = await asyncio.create_subprocess_exec(
                *self.command, stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=out, env=environment,
                start_new_session=True,
            )  # fmt: skip
        self.started_at = time.monotonic()

    async def watch(self) -> None:
        """Restart the process whenever it ends, slower each time it ends young (1 s up to 30 s)."""
        delay = 1.0
        while self.process:
            code = await self.process.wait()
            if self.stopping:
                return
            delay = 1.0 if time.monotonic() - self.started_at > 60 else min(30.0, delay * 2)
            self.note(f"ended with code {code}; starting again in {delay:.0f} s")
            await asyncio.sleep(delay)
            if self.stopping:
                return
            self.restarts += 1
            await self.start()

    async def stop(self) -> None:
        """Ask the process to end; kill it after STOP_SECONDS."""
        self.stopping = True
        if self.pid is None or self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.process.wait(), STOP_SECONDS)
        except TimeoutError:
            self.note(f"did not end within {STOP_SECONDS:.0f} s: killed")
            self.kill()
            await self.process.wait()

    def kill(self) -> None:
        """SIGKILL the process and its group."""
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def note(self, text: str) -> None:
        """Add the supervisor's own words to the process's log."""
        with self.log.open("a", encoding="utf-8") as out:
            out.write(f"kurir: {self.name} {text}\n")

    def tail(self, lines: int = 5) -> str:
        """Return the last lines of the log, for an error a person reads."""
        text = self.log.read_bytes()[-8192:].decode("utf-8", "replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])
