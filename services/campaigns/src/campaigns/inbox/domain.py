"""A conversation: everything between one of our accounts and one person on its platform. Rules only."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from contracts.channels import Channel
from contracts.commands import Thread
from contracts.ids import digest
from contracts.inbox import Received

from campaigns.contacts import addresses, domain

PREVIEW_CHARS = 200
REMEMBERED = 200
"""Ids of applied messages a conversation keeps; older ones are kept apart by the message's own `applied`."""
_REPLY_PREFIX = re.compile(r"^\s*((re|fwd?|bls|balas|aw|sv|antw)\s*(\[\d+\])?\s*:\s*)+", re.IGNORECASE)
TABS = ("all", "unassigned", "assigned", "resolved", "archived")
BEGINNINGS = (12, 8, 4, 2, 1)
"""Lengths of the beginnings that a conversation is indexed by: a store finds them whole, but reads on from a part."""


def conversation_id(account: str, peer: str) -> str:
    """Return the id of the one conversation of account and peer."""
    return digest("conversation", account, peer.strip().casefold())


def reply_id(conversation: str, key: str) -> str:
    """Return the id of an answer: the same button pressed twice is the same answer."""
    return digest("reply", conversation, key)


def status(conversation: Mapping[str, Any]) -> str:
    """Return unassigned, assigned, resolved or archived."""
    return str(conversation.get("closed") or ("assigned" if conversation.get("assignee") else "unassigned"))


def milliseconds(at: datetime) -> int:
    """Return a moment as milliseconds since 1970, the key conversations and messages are paged by."""
    return max(0, int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1_000))


def preview(subject: str | None, text: str, stub: str | None = None, files: Sequence[Mapping[str, Any]] = ()) -> str:
    """Return the line a list shows: of a message without words its first file's name."""
    if stub:
        return f"[{stub}]"
    first = next((line for line in text.splitlines() if line.strip() and not line.startswith(">")), "")
    named = f"[{files[0]['filename']}]" if files else ""
    return addresses.one_line(first or subject or named)[:PREVIEW_CHARS]


def direction(message: Received) -> str:
    """Return `in`, or `own` for what the owner sent from another device."""
    return "own" if message.own else "in"


def stops(message: Received, words: Iterable[str]) -> bool:
    """Return whether a chat message says nothing but a stop word. E-mail has its link and header for that."""
    if message.channel == Channel.EMAIL or message.own or message.auto_reply:
        return False
    said = re.sub(r"[^\w\s]", "", message.text).strip().casefold()
    return said in {word.strip().casefold() for word in words if word.strip()}


def reply_subject(subject: str | None) -> str:
    """Return `Re: …` once, however often it was answered before."""
    return f"Re: {_REPLY_PREFIX.sub('', addresses.one_line(subject or '')) or 'your message'}"[:2000]


def thread_of(last: Mapping[str, Any] | None) -> Thread | None:
    """Return what an answer to the last inbound message names: its id, and the ids before it (RFC 5322, 3.6.4)."""
    if not last or not last.get("platform_id"):
        return None
    before = [r for r in last.get("references") or [] if r != last["platform_id"]]
    return Thread(in_reply_to=last["platform_id"], references=[*before[-30:], last["platform_id"]])


def search_keys(name: str, address: str) -> list[str]:
    """Return the texts whose beginnings find a conversation."""
    return domain.search_keys(name, {f"x:{address}"})


def begins(search: Iterable[str]) -> list[str]:
    """Return the beginnings of the texts a conversation is searched by."""
    return sorted({text[:length] for text in search for length in BEGINNINGS if len(text) >= length})


def begins_with(text: str) -> str:
    """Return the longest of the beginnings that everything has which begins with *text*. *text* is not empty."""
    return text[: next(length for length in BEGINNINGS if len(text) >= length)]
