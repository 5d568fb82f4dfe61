"""How an attempt ends: ledger entries, the events they make, and what to do where the ledger holds something else. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

from contracts.channels import Channel
from contracts.commands import SendMessage
from contracts.inbox import Cancelled, Failed, Origin, Outcome, Sent, Unknown
from contracts.state import LedgerEntry
from servicekit.ledger import Found

_CANCEL_REASONS = frozenset(get_args(Cancelled.model_fields["reason"].annotation))
_PREVIEW = 200
_DETAIL = 2_000
DEAD_LETTERS = frozenset({"exhausted", "attachment_missing", "body_malformed"})
"""Failures that leave a dead letter beside their event."""


def outcome(channel: Channel, command: SendMessage, entry: LedgerEntry) -> Outcome:
    """Return the event of an attempt that ended as *entry* says."""
    common: dict[str, Any] = {
        "account_id": command.account_id,
        "channel": channel,
        "campaign_id": command.campaign_id,
        "row": command.row,
        "batch": command.batch,
        "k": command.k,
        "number": command.number,
        "wanted": command.wanted,
        "tries": entry.tries,
        "at": entry.at,
        "outside": origin(command) if command.is_outside else None,
    }
    if entry.state == "sent":
        return Sent(**common, platform_ids=entry.platform_ids)
    if entry.state == "failed":
        return Failed(**common, reason=entry.reason, detail=entry.detail)
    if entry.state == "cancelled":
        reason = entry.reason if entry.reason in _CANCEL_REASONS else "cancelled"
        return Cancelled.model_validate(
            {**common, "reason": reason, "detail": entry.detail, "not_before": entry.not_before}
        )
    return Unknown(**common, reason=entry.reason, detail=entry.detail)


def origin(command: SendMessage) -> Origin:
    """Return what campaigns needs to make a row of an outside program's command."""
    lines = command.content.text.strip().splitlines()
    return Origin(
        source=command.source,
        id=command.id,
        to=command.to,
        subject=command.content.subject,
        preview=lines[0][:_PREVIEW] if lines else "",
        kind=command.kind,
    )


def end(state: str, at: datetime, reason: str = "", detail: str = "", **more: Any) -> LedgerEntry:
    """Return an entry; *detail* (the server's words) is cut to a length people still read."""
    return LedgerEntry.model_validate({"state": state, "at": at, "reason": reason, "detail": detail[:_DETAIL], **more})


@dataclass(frozen=True)
class Resolution:
    """What to do with a write that found something else: write *entry* at *revision*, or let *entry* stand, or neither.

    `entry` None: the attempt is in other hands; leave it.
    """

    entry: LedgerEntry | None
    revision: int = 0
    stands: bool = False


def resolve(wanted: LedgerEntry, found: Found | None, token: str, *, held: bool, idempotent: bool) -> Resolution:
    """Decide a conflict between what the lane wants to write and what it found. *held*: the claim had been ours."""
    if found is None:
        return Resolution(wanted)
    have = found.entry
    if have.state == wanted.state and have.token == token:
        return Resolution(have, found.revision, stands=True)  # our own write, whose answer was lost
    if have.is_end:
        late_truth = have.state == "unknown" and wanted.state == "sent"
        return Resolution(wanted, found.revision) if late_truth else Resolution(have, found.revision, stands=True)
    if have.state == "released":
        return Resolution(wanted, found.revision)
    if have.token == token:
        return Resolution(_with_wish(wanted, have, idempotent=idempotent), found.revision)
    return _over_anothers_claim(wanted, found, held=held)


def _with_wish(wanted: LedgerEntry, have: LedgerEntry, *, idempotent: bool) -> LedgerEntry:
    """A cancelled attempt ends: it is never released. What was sent, failed or is unknown stays so: it is the truth."""
    if have.cancel is None or wanted.state not in ("released", "cancelled"):
        return wanted
    return unsent(wanted, "cancelled", have.cancel, idempotent=idempotent)


def unsent(entry: LedgerEntry, state: str, reason: str, *, idempotent: bool, doubtful: bool = False) -> LedgerEntry:
    """Return the end of an attempt that did not go out, or `unknown` where part of it may have."""
    partly = bool(entry.parts_done) and not idempotent
    if not (partly or doubtful):
        return entry.model_copy(update={"state": state, "reason": reason, "not_before": None})
    said = "partly_sent" if partly else "maybe_sent"
    return entry.model_copy(update={"state": "unknown", "reason": said, "not_before": None})


def _over_anothers_claim(wanted: LedgerEntry, found: Found, *, held: bool) -> Resolution:
    if wanted.state == "sent":
        return Resolution(wanted, found.revision)
    if held:
        return Resolution(None)  # an heir took it over while ours was out: what it finds is what counts
    words = {"state": "unknown", "reason": "holder_lost", "parts_done": found.entry.parts_done}
    return Resolution(wanted.model_copy(update=words), found.revision)
