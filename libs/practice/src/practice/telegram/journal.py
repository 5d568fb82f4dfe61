"""What changes the world is a recorded call; played back in order it makes the same world again."""

import functools
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Concatenate, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


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
            with self._path.open("rb") as file:
                try:
                    while True:
                        name, args, options = pickle.load(file)  # noqa: S301 # our own file
                        getattr(target, name)(*args, **options)
                        whole = file.tell()
                except (EOFError, pickle.UnpicklingError):
                    pass
        self._file = self._path.open("r+b" if self._path.exists() else "w+b", buffering=0)
        self._file.truncate(whole)
        self._file.seek(whole)

    def note(self, name: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        """Append one call; it outlives the process (not a power cut) once this returns."""
        if self._file is not None:
            self._file.write(pickle.dumps((name, args, options)))

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


class HasJournal(Protocol):
    """What can be played back."""

    journal: Journal


S = TypeVar("S", bound=HasJournal)


def recorded(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Note the calls of a method in its object's journal; its arguments must be plain data and decide everything."""

    @functools.wraps(method)
    def wrapper(self: S, /, *args: P.args, **options: P.kwargs) -> T:
        self.journal.note(method.__name__, args, options)
        return method(self, *args, **options)

    return wrapper
