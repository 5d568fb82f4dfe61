"""A packed session that is not handed over yet: one file per account on this computer, readable by its owner only."""

import os
from pathlib import Path


def folder() -> Path:
    """Return where they lie: `$XDG_STATE_HOME/kurir/login`, else `~/.local/state/kurir/login`."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "kurir" / "login"


class Waiting:
    """The file of one account."""

    def __init__(self, account_id: str) -> None:
        self.file = folder() / f"{account_id}.session"

    def load(self) -> bytes | None:
        """Return what an earlier run could not hand over, None where there is nothing."""
        try:
            return self.file.read_bytes()
        except FileNotFoundError:
            return None

    def save(self, data: bytes) -> None:
        """Keep it until it is handed over; a crash leaves the whole of it or nothing."""
        self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self.file.with_suffix(".new")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(self.file)

    def remove(self) -> None:
        """It is handed over, or of no use."""
        self.file.unlink(missing_ok=True)
