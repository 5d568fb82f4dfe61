"""The data folder: one place for everything `kurir up` keeps, with a layout version."""

import base64
import fcntl
import hashlib
import json
import os
import secrets
import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cryptography.fernet import Fernet

LAYOUT = 1
"""Version of the folder's layout: an older one is upgraded here, a newer one refused."""


class Trouble(Exception):  # noqa: N818  # shown to a person as one line
    """Something a person can mend; its text is one line that says how."""


@dataclass(frozen=True)
class Keys:
    """The installation's secrets, made once and kept in `keys.json` (mode 600)."""

    sealing: str
    address_hmac: str
    jwt: str
    nats_password: str
    admin_email: str
    admin_password: str
    store_password: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    @classmethod
    def fresh(cls) -> "Keys":
        """Return new random keys."""
        return cls(
            sealing=Fernet.generate_key().decode(),
            address_hmac=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            jwt=secrets.token_urlsafe(48),
            nats_password=secrets.token_urlsafe(24),
            admin_email="admin@kurir.local",
            admin_password=secrets.token_urlsafe(12),
        )


class Home:
    """A data folder. Opening it makes it, upgrades it, or refuses it with a reason."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "logs"
        self.nats = folder / "nats"
        self.store = folder / "store"
        self.media = folder / "files"
        self.profiles = folder / "profiles"
        self.state_file = folder / "running.json"
        self.lock_file = folder / "lock"

    def instance(self, name: str) -> str:
        """Return the name a service of this folder goes by, so that another Kurir's on its port is not taken for it."""
        return f"{name}-{hashlib.sha256(str(self.folder.resolve()).encode()).hexdigest()[:8]}"

    def open(self) -> Keys:
        """Make or check the folder and return its keys; raises Trouble."""
        marker = self.folder / "layout"
        if marker.exists():
            self._check(marker)
        elif self.folder.exists() and any(self.folder.iterdir()):
            raise Trouble(f"{self.folder} is not empty and not a Kurir data folder: choose another with --home")
        for folder in (self.folder, self.logs, self.nats, self.store, self.media, self.profiles):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder.chmod(0o700)  # it may have been there, empty, for all to read
        keys = self._keys()
        _write(marker, str(LAYOUT))
        return keys

    def _check(self, marker: Path) -> None:
        found = marker.read_text("utf-8").strip()
        if not found.isdigit():
            raise Trouble(f"{marker} is damaged ({found[:20]!r}): restore it from a backup, or begin anew with --wipe")
        if int(found) > LAYOUT:
            raise Trouble(
                f"{self.folder} was made by a newer Kurir (layout {found}, this one knows {LAYOUT}): update Kurir"
            )

    def _keys(self) -> Keys:
        file = self.folder / "keys.json"
        try:
            have = json.loads(file.read_text("utf-8")) if file.exists() else Keys.fresh().__dict__
            keys = Keys(**have)
        except (ValueError, TypeError) as error:
            raise Trouble(
                f"{file} is damaged: restore it from a backup (without it sealed passwords are lost)"
            ) from error
        if keys.__dict__ != have or not file.exists():  # made by a Kurir that had no password for the store, or now
            _write(file, json.dumps(keys.__dict__, indent=1))
        return keys

    def state(self) -> dict[str, Any] | None:
        """Return what the running platform wrote about itself, or None when none runs."""
        if not self.state_file.exists() or not self.is_locked():
            return None
        loaded: dict[str, Any] = json.loads(self.state_file.read_text("utf-8"))
        return loaded

    def write_state(self, state: dict[str, Any]) -> None:
        """Replace the running platform's note about itself."""
        _write(self.state_file, json.dumps(state, indent=1))

    def is_locked(self) -> bool:
        """Return whether a platform is up in this folder."""
        if not self.lock_file.exists():
            return False
        with self.lock_file.open("r+") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def wipe(self) -> None:
        """Remove the folder and all it holds; refused unless it is a Kurir folder, or while a platform is up."""
        if not self.folder.exists():
            return
        if not (self.folder / "layout").exists():
            raise Trouble(f"{self.folder} is not a Kurir data folder: nothing was removed")
        if self.is_locked():
            raise Trouble(f"a platform is up in {self.folder}: run kurir down first")
        shutil.rmtree(self.folder)


class Lock(AbstractContextManager["Lock"]):
    """One platform per folder: a lock the kernel drops when the process dies."""

    def __init__(self, home: Home) -> None:
        self.home = home

    def __enter__(self) -> Self:
        self.handle = self.home.lock_file.open("a+")
        try:
            fcntl.flock(self.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Trouble(f"Kurir is already up in {self.home.folder}: see kurir status") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.handle.close()


def default_folder() -> Path:
    """Return `$KURIR_HOME`, or the usual place for a user's data."""
    if named := os.environ.get("KURIR_HOME"):
        return Path(named)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "kurir"


def _write(file: Path, text: str) -> None:
    """Write so that a crash leaves the old file or the new one, readable by its owner only."""
    draft = file.with_suffix(".new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(file)
