"""What a person has to see to go on (QR code, pairing code, screenshot): sealed beside the account's state."""

import asyncio
from datetime import timedelta

from contracts import sealing, subjects
from contracts.channels import Channel
from contracts.state import Challenge, SessionStatus, ShownChallenge
from servicekit.bus import Bus
from servicekit.clock import utcnow
from servicekit.errors import TooLarge
from servicekit.kv import Bucket
from servicekit.secrets import Sealer

from channelkit.protocol import Shown

LONGEST_SECONDS = 600.0
MAX_BYTES = 640 * 1024
"""Sealing makes a third more of it, and a value in NATS may have 1 MB."""


class Showing:
    """One account's `<account>.shown`: written before the state that speaks of it, gone when that state is left."""

    def __init__(self, bus: Bus, channel: Channel, account_id: str, sealer: Sealer) -> None:
        self._bucket = Bucket(bus, subjects.bucket("sessions", channel), ShownChallenge)
        self._account_id, self._sealer = account_id, sealer
        self._wanted: ShownChallenge | None = None
        self._lies = self._due = False
        self._writing = asyncio.Lock()

    def found(self, status: SessionStatus) -> None:
        """Take over from the last holder, whose state was *status*: what it showed may still lie there."""
        self._lies = awaits_person(status)

    def change(self, status: SessionStatus, challenge: Challenge | None, shown: Shown | None) -> None:
        """Note what is to be seen from now on. Raises TooLarge for more than 640 KB."""
        challenge_id = challenge.id if challenge else ""
        if shown is not None and awaits_person(status):
            self._wanted, self._due = self._sealed(challenge, shown), True
        elif self._wanted and not (awaits_person(status) and challenge and challenge_id == self._wanted.challenge_id):
            self._wanted, self._due = None, True
        elif not awaits_person(status):
            self._due = self._due or self._lies

    async def flush(self) -> None:
        """Write or remove what is due. Raises Unavailable."""
        async with self._writing:
            if not self._due:
                return
            wanted, key = self._wanted, subjects.shown_key(self._account_id)
            seconds = (wanted.expires_at - utcnow()).total_seconds() if wanted else 0.0
            if wanted and seconds > 0:
                self._lies = True
                await self._bucket.put(key, wanted, ttl_seconds=seconds)
            elif self._lies:
                await self._bucket.purge(key)
                self._lies = False
            self._due = self._wanted is not wanted

    def _sealed(self, challenge: Challenge | None, shown: Shown) -> ShownChallenge:
        if len(shown.data) > MAX_BYTES:
            raise TooLarge(f"what is shown has {len(shown.data)} bytes, at most {MAX_BYTES} fit")
        longest = utcnow() + timedelta(seconds=LONGEST_SECONDS)
        expires_at = challenge.expires_at if challenge else None
        return ShownChallenge(
            challenge_id=challenge.id if challenge else "",
            kind=shown.kind,
            sealed=self._sealer.seal(shown.data, sealing.shown(self._account_id)),
            expires_at=min(expires_at or longest, longest),
        )


def awaits_person(status: SessionStatus) -> bool:
    """Return whether the state waits for something a person does."""
    return status in {
        SessionStatus.AWAITING_QR,
        SessionStatus.AWAITING_CODE,
        SessionStatus.AWAITING_PASSWORD,
        SessionStatus.AWAITING_PERSON,
    }
