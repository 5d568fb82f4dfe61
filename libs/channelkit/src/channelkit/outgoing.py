"""What a sender holds of one attempt."""

from contracts.commands import SendMessage
from contracts.ids import platform_key

from channelkit.attempts import Attempt
from channelkit.claims import Claims


class OutgoingAttempt:
    """Implements `protocol.Outgoing`."""

    __slots__ = ("_claims", "attempt", "command", "parts_done")

    def __init__(self, attempt: Attempt, claims: Claims) -> None:
        """One per send."""
        self.attempt, self._claims = attempt, claims
        self.command: SendMessage = attempt.command
        self.parts_done: list[str] = attempt.parts_done

    async def claim(self) -> None:
        """Claim the attempt. Raises NotClaimed: nothing may be sent."""
        await self._claims.claim(self.attempt)

    async def part_sent(self, platform_id: str) -> None:
        """Write down that one more bubble went out. Raises NotClaimed where the attempt is in other hands by now."""
        await self._claims.part_sent(self.attempt, platform_id)

    def platform_key(self, part: int = 0) -> str:
        """Return the idempotency key of a bubble."""
        return platform_key(self.command.row, self.command.wanted, part)
