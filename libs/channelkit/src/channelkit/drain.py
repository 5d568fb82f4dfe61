"""Emptying an account's queues for good: every command gets its end, then it leaves the stream."""

import asyncio
from typing import get_args

from contracts import subjects
from contracts.channels import Channel
from contracts.commands import SendMessage
from contracts.headers import ERROR, MSG_ID, STREAM_SEQUENCE, cloud_event
from contracts.state import LedgerEntry
from nats.js import api
from nats.js import errors as js_errors
from pydantic import ValidationError
from servicekit.bus import Bus
from servicekit.bus_errors import translated
from servicekit.clock import utcnow
from servicekit.delivery.settle import fitting
from servicekit.errors import Conflict
from servicekit.failpoints import failpoint
from servicekit.ledger import Found, Ledger

from channelkit import ends
from channelkit.attempts import forget

_PAGE = 64


async def drain(bus: Bus, channel: Channel, account_id: str, reason: str = "account_deleted", detail: str = "") -> int:
    """End every command of both queues as `failed`, or by the end it already has; return how many there were.

    No lane may hold the account any more. A claim nobody settled ends `unknown`. Unreadable commands become dead
    letters. Raises Unavailable: what was done stays done, call it again.
    """
    done = 0
    forget(bus, channel, account_id)
    for queue in get_args(subjects.Queue):
        done += await _drain_subject(bus, channel, subjects.send(channel, account_id, queue), reason, detail)
    return done


async def _drain_subject(bus: Bus, channel: Channel, subject: str, reason: str, detail: str) -> int:
    stream, done, sequence = subjects.commands_stream(channel), 0, 0
    ledger = Ledger(bus, channel)
    while True:
        bus.require()
        page = await _page(bus, stream, subject, sequence + 1)
        if not page:
            return done
        await asyncio.gather(*(_end(bus, ledger, channel, one, reason, detail) for one in page))
        sequence, done = page[-1].seq or 0, done + len(page)
        with translated(stream):
            await bus.js.purge_stream(stream, subject=subject, seq=sequence + 1)


async def _page(bus: Bus, stream: str, subject: str, sequence: int) -> list[api.RawStreamMsg]:
    """Return the next messages of a subject, pulled by nobody: what a dead holder had out is among them."""
    found: list[api.RawStreamMsg] = []
    while len(found) < _PAGE:
        try:
            with translated(stream):
                msg = await bus.js.get_msg(stream, seq=sequence, subject=subject, next=True)
        except js_errors.NotFoundError:
            break
        sequence = (msg.seq or 0) + 1
        found.append(msg)
    return found


async def _end(  # noqa: PLR0917
    bus: Bus, ledger: Ledger, channel: Channel, one: api.RawStreamMsg, reason: str, detail: str
) -> None:
    sequence, data, subject = one.seq or 0, one.data or b"", one.subject or ""
    try:
        command = SendMessage.model_validate_json(data)
    except ValidationError as error:
        headers = {
            MSG_ID: f"{subjects.commands_stream(channel)}.{sequence}.drain",
            ERROR: f"malformed: {error.error_count()} fields do not fit",
            STREAM_SEQUENCE: str(sequence),
        }
        data, headers = fitting(bus, data, headers, headers)
        await bus.publish(subjects.dead_letter(subject), data, headers=headers)
        return
    entry = await _decide(ledger, command, reason, detail)
    failpoint("delete.in_drain")
    event = ends.outcome(channel, command, entry)
    what = event.NAME.rpartition(".")[2]
    event_id = f"{command.attempt}.{command.wanted}.{what}"
    await bus.publish(
        subjects.inbox(channel, command.account_id, what),
        event,
        msg_id=event_id,
        headers=cloud_event(event, event_id, bus.source),
    )


async def _decide(ledger: Ledger, command: SendMessage, reason: str, detail: str) -> LedgerEntry:
    """Write the end, or return the one that is there."""
    found: Found | None = None
    while True:
        if found is not None and found.entry.is_end:
            return found.entry
        state, why = ("unknown", "holder_lost") if found and found.entry.state == "claimed" else ("failed", reason)
        tries = max(command.tries, found.entry.tries if found else 0)
        entry = ends.end(state, utcnow(), why, detail, tries=tries)
        try:
            await ledger.write(command.ledger_key, entry, found.revision if found else 0)
        except Conflict:
            found = await ledger.read(command.ledger_key)
        else:
            return entry
