"""Which life of the bus each channel is in, as verified on this very connection."""

from servicekit.bus import Bus


class Incarnations:
    """Known per channel until the connection is lost: the server that answers next may have forgotten everything."""

    def __init__(self, bus: Bus | None = None) -> None:
        """Nothing is known yet."""
        self._bus = bus
        self._known: dict[str, tuple[str, int]] = {}

    def connection(self) -> int:
        """Return a number that changes with each reconnect, -1 while there is no connection."""
        if self._bus is None or not self._bus.connected:
            return -1
        return int(self._bus.nc.stats["reconnects"])

    def get(self, channel: str) -> str | None:
        """Return the verified incarnation, None while it is not verified: nothing may be dispatched or recalled then."""
        known = self._known.get(str(channel))
        return known[0] if known is not None and known[1] == self.connection() else None

    def note(self, channel: str, incarnation: str, connection: int) -> None:
        """Note what was verified, and on which connection the verifying began."""
        self._known[str(channel)] = (incarnation, connection)

    def forget(self, channel: str) -> None:
        """Have a channel verified again before anything more is dispatched to it."""
        self._known.pop(str(channel), None)
