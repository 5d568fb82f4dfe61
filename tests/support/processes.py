"""Server processes for tests: on free ports, in temporary folders, gone when the test run is."""

import contextlib
import ctypes
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from kurir.ports import Ports

_PR_SET_PDEATHSIG = 1
_HELD_PORTS = 50


_taken: deque[Ports] = deque()


def free_port() -> int:
    """Return a port on 127.0.0.1 that nobody else gets while its server starts: other workers' tests look for ports too."""
    _taken.append(Ports())
    if len(_taken) > _HELD_PORTS:
        _taken.popleft().release()
    return _taken[-1].take()


def program(name: str) -> Path | None:
    """Return a program beside this Python, or from the PATH."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    return Path(found) if found else None


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _stands(pid: int) -> bool:
    """Return whether every thread of a stopped process stands still: one may answer for a moment longer."""
    states = (task / "stat" for task in Path(f"/proc/{pid}/task").iterdir())
    return all(stat.read_text().rpartition(") ")[2].startswith("T") for stat in states)


class Server:
    """A process a test may kill and start again, on the same port and folder."""

    def __init__(self, name: str, command: list[str], port: int, log: Path, ready: Callable[[int], None]) -> None:
        """*ready* is called with the port until it no longer raises."""
        self.name, self.command, self.port, self.log = name, command, port, log
        self._ready = ready
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, timeout: float = 30.0) -> None:
        """Start and wait until it answers. Raises RuntimeError with the end of its log."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,  # noqa: PLW1509  # one call of libc: no server outlives its tests
            )
        until = time.monotonic() + timeout
        while True:
            try:
                return self._ready(self.port)
            except Exception as error:
                if self.process.poll() is not None or time.monotonic() > until:
                    tail = self.log.read_text(errors="replace")[-2_000:]
                    self.kill()
                    raise RuntimeError(f"{self.name} did not start: {error!r}\n{tail}") from error
                time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        """SIGSTOP: the connections stay, nothing answers. Returns when every thread stands."""
        self._signal(signal.SIGSTOP)
        while self.process is not None and not _stands(self.process.pid):
            time.sleep(0.005)

    def thaw(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def restart(self) -> None:
        """Kill and start again at once."""
        self.kill()
        self.start()

    def stop(self) -> None:
        """SIGTERM, after 5 s SIGKILL."""
        if self.process is not None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
            self.kill()

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)
