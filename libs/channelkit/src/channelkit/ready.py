"""The three writes that every message costs, as ready bytes: its claim, its `sent` in the ledger, its `sent` event.

Filled in past the models, which would take a tenth of the lane's time; a property test compares them with what the models
write. Everything else (refusals, commands from outside, bubbles) goes through the models.
"""

from collections.abc import Sequence
from datetime import datetime

import orjson
from contracts import subjects
from contracts.channels import Channel
from contracts.commands import SendMessage
from contracts.headers import CE_ID, CE_SOURCE, CE_SPEC, CE_TIME, CE_TYPE, MSG_ID
from contracts.inbox import Sent
from servicekit.tracing import TRACEPARENT

_UTC = orjson.OPT_UTC_Z


def claimed(token: str, tries: int, at: datetime) -> bytes:
    """Return a claim without bubbles or wishes."""
    entry = {"state": "claimed", "token": token, "tries": tries, "at": at}
    if not tries:
        del entry["tries"]
    return orjson.dumps(entry, option=_UTC)


def sent(token: str, tries: int, platform_ids: Sequence[str], at: datetime) -> bytes:
    """Return the ledger's entry of a message the platform took."""
    entry = {"state": "sent", "token": token, "tries": tries, "platform_ids": platform_ids, "at": at}
    if not platform_ids:
        del entry["platform_ids"]
    return orjson.dumps(entry, option=_UTC)


class SentEvents:
    """Makes one account's `sent` events."""

    def __init__(self, channel: Channel, account_id: str, source: str) -> None:
        """*source* is the service that sends them."""
        self._account_id, self._channel = account_id, channel
        self.subject = subjects.inbox(channel, account_id, "sent").encode()
        self._fixed = f"{CE_SOURCE}: {source}\r\n{CE_TYPE}: {Sent.ce_type()}\r\n{CE_SPEC}: 1.0\r\n".encode()

    def data(self, command: SendMessage, tries: int, platform_ids: Sequence[str], at: datetime) -> bytes:
        """Return the event about a command of ours (not one from outside)."""
        return orjson.dumps(
            {
                "account_id": self._account_id,
                "channel": self._channel,
                "campaign_id": command.campaign_id,
                "row": command.row,
                "batch": command.batch,
                "k": command.k,
                "number": command.number,
                "wanted": command.wanted,
                "tries": tries,
                "at": at,
                "outside": None,
                "platform_ids": platform_ids,
            },
            option=_UTC,
        )

    def head(self, command: SendMessage, at: datetime, traceparent: bytes | None) -> bytes:
        """Return its headers; a trace goes on where the command names one."""
        event_id = b"%b.%d.%d.sent" % (command.row.encode(), command.k, command.wanted)
        trace = b"%b: %b\r\n" % (_TRACEPARENT, traceparent) if traceparent else b""
        return _HEAD % (event_id, event_id, _iso(at), self._fixed, trace)


def _iso(at: datetime) -> bytes:
    """Return a moment in UTC as `servicekit.clock.iso` writes it, in a third of the time."""
    if not at.microsecond:  # orjson leaves the fraction out
        return at.isoformat(timespec="milliseconds").encode()
    return orjson.dumps(at, option=_UTC)[1:24] + b"+00:00"


_TRACEPARENT = TRACEPARENT.encode()
_HEAD = f"NATS/1.0\r\n{MSG_ID}: %b\r\n{CE_ID}: %b\r\n{CE_TIME}: %b\r\n%b%b\r\n".encode()
