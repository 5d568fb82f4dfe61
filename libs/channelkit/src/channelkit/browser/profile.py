"""A profile's folder on this volume: a lock for one process at a time, and a marker that says how it was left."""

import fcntl
import os
import secrets
import shutil
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ValidationError
from servicekit.errors import Conflict


class ProfileBusy(Conflict):
    """Another process of this machine has the profile open."""

    reason = "profile_busy"


class Marker(BaseModel):
    """`marker.json` beside the profile."""

    volume: str
    """Names this very copy: another volume's has another name."""
    generation: int = 0
    """Counts the openings of the account's profile, wherever they were."""
    clean: bool = True
    """The browser was closed gracefully since; false while one has it open."""
    next: int | None = None
    """The generation it is about to begin: noted before the record says so, gone once it has begun."""


class ProfileFolder:
    """`<root>/<account>`, mode 0700: `profile` (the browser's own), `marker.json`, `lock`."""

    def __init__(self, root: Path, account_id: str) -> None:
        self.folder = root / account_id
        self.profile = self.folder.absolute() / "profile"
        self._marker_file = self.folder / "marker.json"
        self._lock: IO[str] | None = None

    def lock(self) -> None:
        """Make the folder and take its lock, which the kernel drops when this process dies. Raises ProfileBusy.

        Nothing happens where this object holds it already.
        """
        if self._lock:
            return
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder.chmod(0o700)
        handle = (self.folder / "lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = _read(handle)
            handle.close()
            raise ProfileBusy(f"the profile {self.folder} is in use by process {holder or '(unknown)'}") from error
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        self._lock = handle

    def unlock(self) -> None:
        """Give the lock back."""
        if self._lock:
            self._lock.close()
            self._lock = None

    def marker(self) -> Marker | None:
        """Return how the profile was left; None where this volume has none, or its marker cannot be read."""
        try:
            found = Marker.model_validate_json(self._marker_file.read_bytes())
        except (OSError, ValidationError):
            return None
        return found if self.profile.exists() else None

    def mark(self, marker: Marker) -> None:
        """Write the marker so that a crash leaves the old one or the new one."""
        draft = self._marker_file.with_suffix(".new")
        with draft.open("w", encoding="utf-8") as out:
            out.write(marker.model_dump_json())
            out.flush()
            os.fsync(out.fileno())
        draft.replace(self._marker_file)

    def fresh(self) -> Marker:
        """Begin with an empty profile, whatever was there. The lock must be held."""
        shutil.rmtree(self.profile, ignore_errors=True)
        self.profile.mkdir(mode=0o700)
        return self.another()

    def another(self) -> Marker:
        """Return the marker of a profile that has just been put here from elsewhere; the former one's is gone."""
        self._marker_file.unlink(missing_ok=True)
        return Marker(volume=secrets.token_hex(8))

    def remove(self) -> None:
        """Remove all that this volume has of the account, and give the lock back."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.unlock()

    def unlink_stale(self) -> None:
        """Remove Chromium's own lock files of a browser that is gone: with one of another host it would not start."""
        for name in ("SingletonLock", "SingletonCookie", "SingletonSocket"):
            (self.profile / name).unlink(missing_ok=True)


def _read(handle: IO[str]) -> str:
    handle.seek(0)
    return handle.read(20)
