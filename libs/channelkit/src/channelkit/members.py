"""Which replicas of a channel are alive: one heartbeat each, whose key dies with it."""

import asyncio
import secrets

from contracts import subjects
from contracts.channels import Channel
from contracts.state import Heartbeat
from nats.js.errors import NotFoundError
from servicekit.bus import Bus
from servicekit.clock import boottime, utcnow
from servicekit.kv import Bucket

from channelkit.settings import ChannelSettings


class Members:
    """This replica's heartbeat, and who else has one.

    The deadline counts from before the renewal was sent, by a clock that runs on while a process or a laptop sleeps,
    so it always passes before the server lets the key die: whoever thaws late knows at once.
    """

    def __init__(self, bus: Bus, channel: Channel, settings: ChannelSettings) -> None:
        self._bus, self._settings = bus, settings
        self.replica = f"{settings.instance_id[:50]}-{secrets.token_hex(3)}"  # a restarted process is another holder
        self.generation = 0
        """Rises whenever the heartbeat had lapsed: leases taken before must be affirmed again."""
        self._bucket = Bucket(bus, subjects.bucket("members", channel), Heartbeat)
        self._stream = f"KV_{subjects.bucket('members', channel)}"
        self._until = 0.0
        self._started_at = utcnow()
        self._alive: dict[str, Heartbeat] = {}

    def living(self) -> bool:
        """Return whether nobody may yet take this replica for dead."""
        return boottime() < self._until

    def alive(self) -> dict[str, Heartbeat]:
        """Return the living replicas as of the last look."""
        return self._alive

    async def is_alive(self, replica: str) -> bool:
        """Ask about one replica now: it may have come since the last look. Raises Unavailable."""
        return await self._bucket.get(replica) is not None

    async def beat(self, sessions: int) -> None:
        """Renew the heartbeat. Raises Unavailable; what is held then ends with the deadline."""
        asked, ttl = boottime(), self._settings.heartbeat_ttl_seconds
        mine = Heartbeat(
            replica=self.replica,
            started_at=self._started_at,
            max_sessions=self._settings.max_sessions,
            sessions=sessions,
        )
        await self._bucket.put(self.replica, mine, ttl_seconds=ttl)
        if boottime() >= self._until:  # lapsed before the answer: somebody may have taken over in between
            self.generation += 1
        self._until = asked + ttl
        self._alive = {**self._alive, self.replica: mine}

    async def look(self) -> None:
        """Read who is alive, from the server itself: keys that expire are not always announced. Raises Unavailable."""
        names = await self._replicas()
        found = await asyncio.gather(*(self._bucket.get(name) for name in names))
        self._alive = {name: entry[0] for name, entry in zip(names, found, strict=True) if entry}

    async def leave(self) -> None:
        """Take the heartbeat away, so that others need not wait for its death."""
        self._until = 0.0
        await self._bucket.delete(self.replica)

    async def _replicas(self) -> list[str]:
        try:
            info = await self._bus.js.stream_info(self._stream, subjects_filter=">")
        except NotFoundError:
            return []
        return [subject.rsplit(".", 1)[1] for subject in info.state.subjects or {}]
