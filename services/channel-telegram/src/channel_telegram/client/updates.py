"""What the platform pushes, and what it says was missed, as our values."""

import contextlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from telethon import types as _types

from channel_telegram.client.parse import message, person
from channel_telegram.model import (
    Batch,
    DeletedMessages,
    Difference,
    EditedMessage,
    NewMessage,
    Person,
    Position,
    ReadUpTo,
    Unreadable,
    Update,
)

_tl: Any = _types
_FIRST_SECOND = 1
"""The library dates what it makes up itself to the epoch."""


def read_updates(pushed: Any) -> Batch:
    """Return a push of any of the schema's forms (https://core.telegram.org/api/updates); unreadable, it is asked for."""
    try:
        return _push(pushed)
    except Exception:  # nothing of it is logged: it may hold a login code
        return Batch(too_long=True)


def _push(pushed: Any) -> Batch:
    ours = bool(getattr(pushed, "_self_outgoing", False))
    if isinstance(pushed, _tl.UpdatesTooLong):
        return Batch(too_long=True)
    if isinstance(pushed, _tl.Updates | _tl.UpdatesCombined):
        return Batch(
            updates=tuple(_readable(one) for one in pushed.updates),
            people=people(pushed.users),
            date=_seconds(pushed.date),
            seq=pushed.seq,
            seq_start=getattr(pushed, "seq_start", pushed.seq),
            ours=ours,
        )
    if isinstance(pushed, _tl.UpdateShort):
        return Batch(updates=(_readable(pushed.update),), date=_seconds(pushed.date), ours=ours)
    return Batch(updates=(_short(pushed),), date=_seconds(pushed.date), ours=ours)


def read_difference(found: Any, asked: Position) -> Difference:
    """Return what was missed since a position."""
    if isinstance(found, _tl.updates.DifferenceEmpty):
        return Difference((), (), Position(asked.pts, asked.qts, _seconds(found.date), found.seq), final=True)
    if isinstance(found, _tl.updates.DifferenceTooLong):
        return Difference((), (), Position(found.pts, asked.qts, asked.date, asked.seq), final=False, lost=True)
    final = isinstance(found, _tl.updates.Difference)
    new: list[Update] = [_missed(one) for one in found.new_messages]
    return Difference(
        updates=(*new, *(_readable(one) for one in found.other_updates)),
        people=people(found.users),
        position=read_position(found.state if final else found.intermediate_state),
        final=final,
    )


def read_position(state: Any) -> Position:
    """Return a state of the account's sequence."""
    return Position(state.pts, state.qts, _seconds(state.date), state.seq)


def people(users: Iterable[Any]) -> tuple[Person, ...]:
    """Return the people an answer describes."""
    found = []
    for one in users:
        with contextlib.suppress(Exception):  # whoever cannot be read is a stranger
            found += [person(one)] if isinstance(one, _tl.User) else []
    return tuple(found)


def _short(pushed: Any) -> Update:
    if isinstance(pushed, _tl.UpdateShortMessage):
        full = _tl.Message(
            id=pushed.id,
            peer_id=_tl.PeerUser(pushed.user_id),
            date=pushed.date,
            message=pushed.message,
            out=pushed.out,
            reply_to=pushed.reply_to,
            entities=pushed.entities,
        )
        return NewMessage(pushed.pts, pushed.pts_count, message(full))
    return Update(pushed.pts, pushed.pts_count)  # what we sent, or a small group


def _readable(one: Any) -> Update:
    """Return an update; one of another shape than this version knows must not stop those behind it."""
    try:
        return _update(one)
    except Exception:
        held = getattr(getattr(one, "message", None), "id", 0)
        return Unreadable(getattr(one, "pts", None), getattr(one, "pts_count", 0), type(one).__name__, held)


def _missed(one: Any) -> Update:
    try:
        return NewMessage(message=message(one))
    except Exception:
        return Unreadable(kind=type(one).__name__, message_id=getattr(one, "id", 0))


def _update(one: Any) -> Update:
    pts, count = getattr(one, "pts", None), getattr(one, "pts_count", 0)
    match one:
        case _tl.UpdateNewMessage():
            return NewMessage(pts, count, message(one.message))
        case _tl.UpdateEditMessage():
            return EditedMessage(pts, count, message(one.message))
        case _tl.UpdateDeleteMessages():
            return DeletedMessages(pts, count, tuple(one.messages))
        case _tl.UpdateReadHistoryOutbox() if isinstance(one.peer, _tl.PeerUser):
            return ReadUpTo(pts, count, one.peer.user_id, one.max_id)
        case _ if pts and not hasattr(one, "channel_id") and not _of_a_channel(one):
            return Update(pts, count)
    return Update()  # of a channel, which counts apart, or without order


def _of_a_channel(one: Any) -> bool:
    peer = getattr(getattr(one, "message", None), "peer_id", None)
    return isinstance(peer, _tl.PeerChannel)


def _seconds(moment: datetime | None) -> int:
    seconds = int(moment.timestamp()) if moment else 0
    return seconds if seconds > _FIRST_SECOND else 0
