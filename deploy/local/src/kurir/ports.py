"""Ports of one Kurir, taken for as long as it is up: a part listens seconds after its port was chosen.

Between Kurirs of one user a lock per port decides, so that two started together do not choose the same.
"""

import fcntl
import os
import socket
import tempfile
from pathlib import Path

from kurir.home import Trouble

_MOST_TRIES = 100


class Ports:
    """Holds what it took until `release`, or until the process ends."""

    def __init__(self) -> None:
        self._held: list[int] = []

    def take(self, preferred: int = 0) -> int:
        """Return the preferred port where it is free, else any free one on the loopback; raises Trouble."""
        for wanted in (preferred, *[0] * _MOST_TRIES):
            found = _free(wanted)
            if found and self._claim(found):
                return found
        raise Trouble("no free port on 127.0.0.1")

    def release(self) -> None:
        """Let others take them."""
        while self._held:
            os.close(self._held.pop())

    def _claim(self, port: int) -> bool:
        folder = Path(tempfile.gettempdir()) / f"kurir-ports-{os.getuid()}"
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            lock = os.open(folder / str(port), os.O_CREAT | os.O_RDWR, 0o600)
        except OSError:  # without a place for locks the port is as free as it seemed
            return True
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return False
        self._held.append(lock)
        return True


def _free(port: int) -> int | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return None
        return int(probe.getsockname()[1])
