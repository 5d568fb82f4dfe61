"""Places where a test may stop a process dead: `failpoint("lane.after_send")` does nothing unless it is armed.

Armed by the setting KURIR_FAILPOINTS, as `lane.after_send=kill@3; inbound.before_cursor=pause:2`: at its third passing
the process kills itself with SIGKILL. Actions: `kill`, `stop` (SIGSTOP, until somebody sends SIGCONT), `pause:<seconds>`
(the whole process), `error` (raises Unavailable, as where an answer was lost). Without `@n` it is the first passing.
"""

import asyncio
import os
import signal
import time
from dataclasses import dataclass

from servicekit.errors import Unavailable
from servicekit.logs import get_logger

_log = get_logger("servicekit.failpoints")
_LEAVE_SECONDS = 0.1

POINTS = {
    "dispatch.after_open": "the batch is open on its campaign, no row is marked",
    "dispatch.after_mark": "the batch's rows are queued, none is published",
    "dispatch.after_publish": "some of the batch's commands are in the stream",
    "dispatch.before_close": "all commands are acknowledged, the batch is still open",
    "lane.claim_written": "the claim is in the ledger, its answer unheard",
    "lane.after_claim": "the attempt is claimed, its content unsent",
    "lane.after_part": "one bubble of several is sent and in the ledger",
    "lane.after_send": "the platform took the message, nothing of it is written",
    "lane.after_ledger": "`sent` is in the ledger, its event unpublished",
    "lane.after_event": "the event is acknowledged, the command is not",
    "lane.before_ack": "ledger and event are acknowledged, the command is not",
    "lane.after_refusal": "a refusal is in the ledger, its event unpublished",
    "outbox.before_rows": "outcomes are pulled, no row is written",
    "outbox.after_rows": "rows are written, their events unacknowledged",
    "campaign.after_move": "paused or cancelled is stored, nothing is recalled",
    "campaign.after_recall": "queued attempts are cancelled in the ledger, no row is moved",
    "delete.after_request": "the deletion is stored, nobody has heard of it",
    "delete.in_drain": "a command's end is in the ledger, its event unpublished",
    "delete.after_drain": "the queues are empty, session and traces are still there",
    "delete.after_tombstone": "the tombstone is written, key and document are still there",
    "inbound.after_fetch": "messages are fetched, nothing is published",
    "inbound.after_publish": "a message is published, others of the same look are not",
    "inbound.before_cursor": "messages are published, the cursor has not moved",
    "import.after_chunk": "a piece of a session is stored, its number is not noted",
    "import.after_object": "the whole session is sealed in the vault, the account does not name it",
    "import.after_account": "the account names the session, the import is not complete",
    "inbox.after_message": "the message is stored, its conversation is not",
}
"""Name → what is done and what is not when the process dies there. Each name is passed at one place: in a library, or in each channel."""


@dataclass
class _Armed:
    """An action and the passings left until it is done."""

    action: str
    left: int
    seconds: float = 0.0


_armed: dict[str, _Armed] = {}


def arm(setting: str, *, practice: bool) -> None:
    """Arm what the setting names, and nothing else; raises ValueError for what is unknown, and outside practice."""
    _armed.clear()
    armed = dict(_read(part.strip()) for part in setting.split(";") if part.strip())
    if armed and not practice:
        raise ValueError("KURIR_FAILPOINTS kills processes: it is obeyed in practice mode only")
    _armed.update(armed)
    if armed:
        _log.warning("failpoints armed", points=setting)


def failpoint(name: str) -> None:
    """Pass a point by its name; what was given to a connection and has not left yet is lost with the process."""
    if _armed and _due(name):
        _do(name)


async def failpoint_flushed(name: str) -> None:
    """Pass a point; what was given to a connection before leaves first."""
    if _armed and _due(name):
        await asyncio.sleep(_LEAVE_SECONDS)
        _do(name)


def _read(text: str) -> tuple[str, _Armed]:
    name, _, what = text.partition("=")
    action, _, passing = what.partition("@")
    action, _, seconds = action.partition(":")
    if name not in POINTS:
        raise ValueError(f"there is no failpoint {name!r}; there are: {', '.join(POINTS)}")
    if action not in ("kill", "stop", "pause", "error") or bool(seconds) != (action == "pause"):
        raise ValueError(f"{text!r}: an action is kill, stop, error or pause:<seconds>")
    return name, _Armed(action, int(passing or 1), float(seconds or 0))


def _due(name: str) -> bool:
    armed = _armed.get(name)
    if armed is None:
        return False
    armed.left -= 1
    return armed.left == 0


def _do(name: str) -> None:
    armed = _armed[name]
    _log.warning("failpoint reached", point=name, action=armed.action)
    if armed.action == "pause":
        time.sleep(armed.seconds)
    elif armed.action == "error":
        raise Unavailable(f"failpoint {name}")
    else:
        os.kill(os.getpid(), signal.SIGKILL if armed.action == "kill" else signal.SIGSTOP)
