"""A clock that a test moves on for every service of a platform at once (servicekit.clock reads it)."""

from pathlib import Path

from servicekit.clock import OFFSET_VARIABLE


class MovingClock:
    """Names the file in which services find how many seconds they are ahead; set it before they start."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        """*environ* is what the services inherit."""
        self._file, self.ahead_seconds = folder / "clock-offset", 0.0
        environ[OFFSET_VARIABLE] = str(self._file)

    def forward(self, seconds: float) -> None:
        """Move wall and machine clock on; replaced at once, so that nobody reads half a number."""
        self.ahead_seconds += seconds
        new = self._file.with_suffix(".new")
        new.write_text(str(self.ahead_seconds), "ascii")
        new.replace(self._file)
