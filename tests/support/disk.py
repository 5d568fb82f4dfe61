"""A full disk for one process, without a disk of its own: no file of it may grow."""

import resource
from collections.abc import Sequence

_NOTHING = 1


def writes_may_fail(command: Sequence[str]) -> list[str]:
    """Return a command whose writes fail with an error, as on a full disk, where the limit would kill it (SIGXFSZ)."""
    return ["sh", "-c", 'trap "" XFSZ; exec "$0" "$@"', *command]


def fill(pid: int) -> None:
    """Let every write of the process fail."""
    _limit(pid, _NOTHING)


def free(pid: int) -> None:
    """Let the process write again."""
    _limit(pid, resource.RLIM_INFINITY)


def _limit(pid: int, size: int) -> None:
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))
