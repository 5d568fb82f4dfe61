"""What Kurir promises for each place where a process may die: the table of docs/operating, as data."""

from dataclasses import dataclass
from typing import Literal

State = Literal["sent", "unknown", "failed", "pending", "cancelled", "in the inbox"]


@dataclass(frozen=True)
class Case:
    """A failpoint, the process that passes it, and what must have become of the message at the point."""

    point: str
    service: str
    state: State = "sent"
    """Of the row at the point, once the process is up again and everything is quiet."""
    deliveries: int = 1
    """How often the recipient got it (for inbound: how often people see it)."""
    others: tuple[str, ...] = ("sent",)
    """States the campaign's other rows may be in."""
    does: str = ""
    """What was being done, where it is not plain sending."""
    action: Literal["kill", "error"] = "kill"
    passing: int = 1
    short: bool = False
    """Also in the short form of the tests."""

    @property
    def name(self) -> str:
        """Return a name for the test."""
        channel = "telegram" if self.service == TELEGRAM else ""
        named = (channel, self.point, self.does, self.action if self.action != "kill" else "")
        return "-".join(part for part in named if part)

    @property
    def passing_is_row(self) -> bool:
        """Return whether the message at the point is the campaign's first: one connection sends in their order."""
        return self.point.startswith("lane.")

    @property
    def setting(self) -> str:
        """Return the value of KURIR_FAILPOINTS."""
        return f"{self.point}={self.action}@{self.passing}"


CHANNEL, CAMPAIGNS, ACCOUNTS, TELEGRAM = "channel-email", "campaigns", "accounts", "channel-telegram"
_LOST = {"state": "unknown"}
_ENDED = {"state": "failed", "deliveries": 0}

SENDING = (
    Case("lane.claim_written", CHANNEL, **_LOST, deliveries=0),
    Case("lane.claim_written", CHANNEL, action="error"),
    Case("lane.after_claim", CHANNEL, **_LOST, deliveries=0),
    Case("lane.after_send", CHANNEL, **_LOST, short=True),
    Case("lane.after_ledger", CHANNEL, short=True),
    Case("lane.after_event", CHANNEL, others=("sent", "unknown")),  # the next message may be out by then
    Case("lane.before_ack", CHANNEL, others=("sent", "unknown")),
    Case("lane.after_refusal", CHANNEL, **_ENDED, does="refused", others=("sent", "unknown")),
)
BUBBLES = (
    Case("lane.after_part", "a chat channel", **_LOST, does="asks nobody"),
    Case("lane.after_part", "a chat channel", does="recognises copies"),
)
PLAIN = (
    Case("dispatch.after_open", CAMPAIGNS),
    Case("dispatch.after_mark", CAMPAIGNS),
    Case("dispatch.after_publish", CAMPAIGNS, passing=10, short=True),
    Case("dispatch.before_close", CAMPAIGNS),
    Case("outbox.before_rows", CAMPAIGNS),
    Case("outbox.after_rows", CAMPAIGNS),
)
RECALLING = (
    Case("campaign.after_move", CAMPAIGNS, does="pause"),
    Case("campaign.after_recall", CAMPAIGNS, does="pause"),
    Case("campaign.after_move", CAMPAIGNS, "cancelled", 0, does="cancel"),
    Case("campaign.after_recall", CAMPAIGNS, "cancelled", 0, does="cancel"),
)
INBOUND = (
    Case("inbound.after_fetch", CHANNEL, "in the inbox", passing=3),
    Case("inbound.after_publish", CHANNEL, "in the inbox", passing=3),
    Case("inbound.before_cursor", CHANNEL, "in the inbox", short=True),
    Case("inbox.after_message", CAMPAIGNS, "in the inbox"),
)
DELETING = (
    Case("delete.after_request", ACCOUNTS, **_ENDED),
    Case("delete.in_drain", CHANNEL, **_ENDED, passing=3),
    Case("delete.after_drain", CHANNEL, **_ENDED),
    Case("delete.after_tombstone", ACCOUNTS, **_ENDED),
)
EDGES = (*DELETING, *INBOUND)
TELEGRAM_SENDING = (
    Case("lane.claim_written", TELEGRAM),
    Case("lane.after_claim", TELEGRAM),
    Case("lane.after_part", TELEGRAM, short=True),
    Case("lane.after_send", TELEGRAM, short=True),
    Case("lane.after_ledger", TELEGRAM),
    Case("lane.after_event", TELEGRAM),
    Case("lane.before_ack", TELEGRAM),
    Case("lane.after_refusal", TELEGRAM, **_ENDED, does="refused"),
)
"""Telegram recognises a repeat: nothing is unknown."""
TELEGRAM_INBOUND = (
    Case("inbound.after_fetch", TELEGRAM, "in the inbox"),
    Case("inbound.after_publish", TELEGRAM, "in the inbox", passing=3),
    Case("inbound.before_cursor", TELEGRAM, "in the inbox", short=True),
)
TELEGRAM_DELETING = (
    Case("delete.in_drain", TELEGRAM, **_ENDED, passing=3),
    Case("delete.after_drain", TELEGRAM, **_ENDED),
)
ON_TELEGRAM = (*TELEGRAM_SENDING, *TELEGRAM_DELETING, *TELEGRAM_INBOUND)
CASES = (*PLAIN[:4], *SENDING, *BUBBLES, *PLAIN[4:], *RECALLING, *EDGES, *ON_TELEGRAM)
"""In the order of a message's way, on e-mail and then on Telegram."""
