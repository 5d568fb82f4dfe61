"""When a page has grown too large: it is loaded anew between two messages, and not in a circle."""

from dataclasses import dataclass

from servicekit.clock import boottime


@dataclass
class Growth:
    """Decides from the measured memory of one account's browser; the caller reloads, and says so with `reloaded`."""

    limit_bytes: float
    least_pause_seconds: float = 600.0
    """A page that is larger than the limit right after a reload is not reloaded over and over."""
    _reloaded_at: float | None = None

    def is_due(self, pss_bytes: float) -> bool:
        """Return whether the page is to be loaded anew now."""
        rested = self._reloaded_at is None or boottime() - self._reloaded_at >= self.least_pause_seconds
        return rested and pss_bytes > self.limit_bytes

    def reloaded(self) -> None:
        """Note a reload."""
        self._reloaded_at = boottime()
