"""What changes the world is a recorded call; played back in order it makes the same world again."""

import functools
import pickle
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Concatenate, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
_LENGTH = struct.Struct("<I")


class Journal:
    """An append-only log of calls; without a file it forgets."""

    def __init__(self, path: str = "") -> None:
        self._path = Path(path) if path else None
        self._file: IO[bytes] | None = None

    def replay(self, target: object) -> None:
        """Call what the file holds on the target, then begin to append; a last call cut off by a kill is dropped."""
        if self._path is None:
            return
        whole = 0
        if self._path.exists():
            for (name, args, options), end in _records(self._path.read_bytes()):
                getattr(target, name)(*args, **options)
                whole = end
        self._file = self._path.open("r+b" if self._path.exists() else "w+b", buffering=0)
        self._file.truncate(whole)
        self._file.seek(whole)

    def note(self, name: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        """Append one call; it outlives the process (not a power cut) once this returns."""
        if self._file is not None:
            record = pickle.dumps((name, args, options))
            self._file.write(_LENGTH.pack(len(record)) + record)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def _records(log: bytes) -> Iterator[tuple[tuple[str, Any, Any], int]]:
    """Yield each whole record with where it ends."""
    at = 0
    while at + _LENGTH.size <= len(log):
        end = at + _LENGTH.size + _LENGTH.unpack_from(log, at)[0]
        if end > len(log):
            return
        yield pickle.loads(log[at + _LENGTH.size : end]), end  # noqa: S301 # our own file
        at = end


class HasJournal(Protocol):
    """What can be played back."""

    journal: Journal


S = TypeVar("S", bound=HasJournal)


def recorded(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Note the calls of a method in its object's journal; its arguments must be plain data and decide everything."""

    @functools.wraps(method)
    def wrapper(self: S, /, *args: P.args, **options: P.kwargs) -> T:
        result = method(self, *args, **options)
        # noted once done: a call that raises must not keep a restart from coming up
        self.journal.note(method.__name__, args, options)
        return result

    return wrapper
