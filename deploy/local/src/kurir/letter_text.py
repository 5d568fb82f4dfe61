"""A dead letter for a person or a program: what a message says, and to whom, only where that was asked for."""

import base64
import json
import re
from typing import Any

from kurir.dead_letters import Letter

HIDDEN = "(hidden, --content shows it)"
_COMMANDS_IDS = frozenset(
    ("id", "source", "account_id", "kind", "campaign_id", "row", "batch", "k", "number", "wanted", "tries", "not_after")
)
"""All that is shown of a command. An unreadable one may hold what it says under any other name."""
_PERSONAL = frozenset(
    ("to", "sender", "name", "address", "conversation", "subject", "preview", "text", "html", "attachments", "identity")
)
"""Never shown of anything else."""
_ADDRESS = re.compile(r"[^\s<>\"'@]+@[^\s<>\"'@]+|\+\d{7,15}")


def line(letter: Letter) -> str:
    """Return sequence, time, tries, subject and error, in one line."""
    tries = "-" if letter.tries is None else letter.tries
    return printable(
        f"{letter.sequence:>8}  {letter.at:%Y-%m-%d %H:%M:%S}  {tries:>5}  {letter.subject}  {_masked(letter.error)}"
    ).replace("\n", " ")


HEADING = f"{'sequence':>8}  {'when (UTC)':19}  tries  subject  error"


def summary(letter: Letter) -> dict[str, Any]:
    """Return what `dlq list --json` says of a dead letter."""
    return {
        "sequence": letter.sequence,
        "subject": letter.subject,
        "at": letter.at.isoformat(timespec="milliseconds"),
        "tries": letter.tries,
        "error": _masked(letter.error),
        "bytes": letter.size,
    }


def whole(letter: Letter, *, content: bool) -> dict[str, Any]:
    """Return the summary, headers and payload; with *content* as it came, else without what it says and to whom."""
    about = {**summary(letter), "headers": letter.headers}
    if content:
        return {**about, "error": letter.error, "payload": _raw(letter.payload)}
    return {**about, "headers": _masked(letter.headers), "payload": _discreet(letter)}


def text(letter: Letter, *, content: bool) -> str:
    """Return `whole` for people."""
    about = whole(letter, content=content)
    named, payload = about.pop("headers"), about.pop("payload")
    lines = [f"{name}: {value}" for name, value in about.items()]
    lines += ["headers:", *(f"  {name}: {value}" for name, value in named.items()), "payload:"]
    lines.append(payload if isinstance(payload, str) else json.dumps(payload, indent=2, ensure_ascii=False))
    return printable("\n".join(lines))


def printable(said: str) -> str:
    """Return text that cannot command a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in said)


def _raw(payload: bytes) -> Any:
    """Return JSON as it is, other text as a string, anything else in base64."""
    try:
        found = json.loads(payload)
        json.dumps(found, indent=2)  # nested deeper than it could be printed, it is text
    except (ValueError, RecursionError):
        pass
    else:
        return found
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(payload).decode()}


def _discreet(letter: Letter) -> Any:
    found = _raw(letter.payload)
    if not isinstance(found, dict) or set(found) == {"base64"}:
        return HIDDEN
    try:
        if letter.subject.startswith("cmd."):
            return {_masked(k): _masked(v) if k in _COMMANDS_IDS else HIDDEN for k, v in found.items()}
        return _masked(found)
    except RecursionError:
        return HIDDEN


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {_masked(k): HIDDEN if k in _PERSONAL and v else _masked(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_masked(one) for one in value]
    return _ADDRESS.sub("(address)", value) if isinstance(value, str) else value
