"""Ports of one Kurir, taken for as long as it is up: a part listens seconds after its port was chosen.

Between Kurirs of one user a lock per port decides, so that two started together do not choose the same. Against everybody
else it chooses below what the kernel hands out by itself (to a connection, to who asks for any port).
"""

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

from kurir.home import Trouble

_MOST_TRIES = 200
_LOWEST, _WIDTH = 10_000, 10_000
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


class Ports:
    """Holds what it took until `release`, or until the process ends."""

    def __init__(self) -> None:
        self._held: list[int] = []

    def take(self, preferred: int = 0) -> int:
        """Return the preferred port where it is free, else another free one on the loopback; raises Trouble."""
        for wanted in ([preferred] if preferred else []) + random.sample(_quiet(), _MOST_TRIES):
            if _is_free(wanted) and self._claim(wanted):
                return wanted
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


def _quiet() -> range:
    """Return ports that the kernel gives to nobody who does not name them."""
    try:
        first = int(_EPHEMERAL.read_text().split()[0])
    except (OSError, ValueError):  # not Linux: what IANA says
        first = 49_152
    return range(max(first - _WIDTH, _LOWEST), max(first, _LOWEST + _WIDTH))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
