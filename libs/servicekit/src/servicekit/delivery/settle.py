"""What becomes of a message whose handling failed: again later, or to the dead letters. Never silently away."""

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contracts import headers, subjects
from nats.aio.msg import Msg
from nats.js import api
from pydantic import ValidationError

from servicekit.direct import block
from servicekit.errors import Permanent, Retry, Unavailable
from servicekit.logs import get_logger
from servicekit.metrics import HANDLED

if TYPE_CHECKING:
    from servicekit.bus import Bus

_log = get_logger("servicekit.delivery")
_HOPELESS = (Permanent, ValidationError, json.JSONDecodeError, UnicodeDecodeError)
_NAK_WHEN_DLQ_REFUSES_SECONDS = 5.0
_FIT = re.compile(r"(?!Nats-)[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""Header names that a letter keeps: not the stream's own, and those that nats-py writes (RFC 9110's tokens)."""
_SPARE_BYTES = 300
"""For a trace, and the words that it was cut."""


@dataclass(frozen=True)
class Policy:
    """When trying again ends. The server's own `max_deliver` stays off: it would strand messages unseen.

    max_tries: failures of a handler. max_deliveries: deliveries for whatever reason, crashes of the process included;
    checked before handling. ack_wait_seconds: silence after which the server delivers again.
    """

    max_tries: int = 5
    max_deliveries: int = 30
    ack_wait_seconds: float = 30.0
    first_pause_seconds: float = 0.5
    longest_pause_seconds: float = 60.0

    def pause(self, tries: int) -> float:
        """Return the seconds before the next try."""
        return min(self.longest_pause_seconds, self.first_pause_seconds * 2.0 ** max(0, tries - 1))


DEFAULT = Policy()


async def settle_failure(bus: "Bus", msg: Msg, error: Exception, tries: int, policy: Policy = DEFAULT) -> str:
    """Settle one message by what its handler raised; return how. *tries* are its failures so far, this one included."""
    if msg._ackd:  # noqa: SLF001  # nats-py has no public way to ask
        return "settled"
    meta = msg.metadata
    hopeless = isinstance(error, _HOPELESS)
    later = isinstance(error, Retry | Unavailable)
    exhausted = meta.num_delivered >= policy.max_deliveries if later else tries >= policy.max_tries
    if isinstance(error, Unavailable) or not (hopeless or exhausted):
        pause = error.after_seconds if isinstance(error, Retry | Unavailable) else policy.pause(tries)
        _log.warning(
            "message will come again", subject=msg.subject, tries=tries, after_seconds=pause, error=_text(error)
        )
        await msg.nak(delay=pause)
        outcome = "again"
    else:
        outcome = await _bury(bus, msg, error, tries)
    HANDLED.labels(meta.consumer, outcome).inc()
    return outcome


async def _bury(bus: "Bus", msg: Msg, error: Exception, tries: int) -> str:
    try:
        await dead_letter(bus, msg, error, tries)
    except Exception as refused:
        _log.error("dead letters refuse, message will come again", subject=msg.subject, error=_text(refused))
        await msg.nak(delay=_NAK_WHEN_DLQ_REFUSES_SECONDS)
        return "again"
    await msg.term()
    return "dead"


async def dead_letter(bus: "Bus", msg: Msg, error: Exception, tries: int) -> None:
    """Publish a copy with error, tries and origin in its headers; the same message twice gives one letter."""
    meta = msg.metadata
    kept = {name: value for name, value in (msg.headers or {}).items() if _FIT.fullmatch(name)}
    about = {
        api.Header.MSG_ID: f"{meta.stream}.{meta.sequence.stream}.{meta.consumer}",
        headers.ERROR: _text(error),
        headers.TRIES: str(max(tries, meta.num_delivered)),
        headers.CONSUMER: meta.consumer,
        headers.STREAM_SEQUENCE: str(meta.sequence.stream),
    }
    bus.require()
    data, all_headers = fitting(bus, msg.data, {**kept, **about}, about)
    await bus.js.publish(subjects.dead_letter(msg.subject), data, timeout=5, headers=all_headers)
    _log.error("message is dead", subject=msg.subject, sequence=meta.sequence.stream, tries=tries, error=_text(error))


def fitting(
    bus: "Bus", data: bytes, all_headers: dict[str, str], needed: dict[str, str]
) -> tuple[bytes, dict[str, str]]:
    """Return content and headers of a dead letter: without all but the needed headers, then cut, where NATS takes no more.

    A message may be as large as NATS takes before its letter's own headers are added.
    """
    room = bus.nc.max_payload - len(block(all_headers)) - _SPARE_BYTES
    if len(data) <= room:
        return data, all_headers
    room = bus.nc.max_payload - len(block(needed)) - _SPARE_BYTES
    cut = data[: max(0, room)]
    said = f"{needed[headers.ERROR]} (cut: {len(cut)} of {len(data)} bytes)"
    return cut, {**needed, headers.ERROR: said}


def _text(error: Exception) -> str:
    if isinstance(error, ValidationError):  # its own text would repeat the input
        return f"malformed: {error.error_count()} fields do not fit {error.title}"
    text = f"{type(error).__name__}: {error}"
    return "".join(c if c.isprintable() and c.isascii() else " " for c in text)[:500]
