"""From a request to its answer: unwrap it, let the faults strike, look whether it is allowed, carry it out."""

import logging
import struct
from dataclasses import dataclass
from typing import Any

from telethon.tl import functions as f
from telethon.tl import types as t

from practice.telegram import contacts, history, login, media, messages, sync
from practice.telegram.calls import ELSEWHERE, HANDLERS, PUBLIC, Call, RpcError, method_name
from practice.telegram.faults import Fault, FaultName

log = logging.getLogger(__name__)

#: The modules whose functions answer requests; importing them registers these.
ANSWERING = (contacts, history, login, media, messages, sync)
_WRAPPED = (f.InvokeWithLayerRequest, f.InitConnectionRequest, f.InvokeAfterMsgRequest, f.InvokeAfterMsgsRequest)
_BOOL = {True: struct.pack("<I", 0x997275B5), False: struct.pack("<I", 0xBC799737)}


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: a body, or none at all; late, or with the connection cut."""

    body: bytes | None = None
    delay_seconds: float = 0
    drops: bool = False


def invoke(call: Call, request: Any) -> Answer:
    """Return the answer to a request."""
    wants_updates = True
    while isinstance(request, (*_WRAPPED, f.InvokeWithoutUpdatesRequest)):
        wants_updates = wants_updates and not isinstance(request, f.InvokeWithoutUpdatesRequest)
        request = request.query
    call.connection.platform.calls[method_name(request)] += 1
    struck = _struck(call, request) if call.world.faults.active else None
    if struck is None:
        return Answer(_body(call, request, wants_updates=wants_updates))
    name, fault = struck
    if name is FaultName.SLOW:
        return Answer(_body(call, request, wants_updates=wants_updates), delay_seconds=fault.value)
    if fault.stored:
        _body(call, request, wants_updates=wants_updates)
    if name is FaultName.REFUSE:
        return Answer(_error(RpcError(fault.error, fault.code)))
    return Answer(drops=name is FaultName.DROP)


def _struck(call: Call, request: Any) -> tuple[FaultName, Fault] | None:
    person = call.key.person
    account = person.phone if person else getattr(request, "phone_number", "").lstrip("+")
    return call.world.faults.strike(method_name(request), account, messages.recipients(call, request))


def _body(call: Call, request: Any, *, wants_updates: bool) -> bytes:
    try:
        _allow(call, request)
        packed = _packed(HANDLERS[type(request)](call, request))
        # after the call, as it may be the one that signs in
        if wants_updates and not call.key.imported:
            call.connection.listen(wanted=True)
        return packed  # noqa: TRY300
    except RpcError as failure:
        return _error(failure)
    except Exception:
        log.exception("%s failed", method_name(request))
        return _error(RpcError("INTERNAL"))


def _allow(call: Call, request: Any) -> None:
    """Raise RpcError for what is unknown, needs a login, or belongs to another DC."""
    kind = type(request)
    if kind not in HANDLERS:
        log.warning("%s is not part of the practice server", method_name(request))
        raise RpcError("METHOD_INVALID")
    if call.key.ended and kind not in PUBLIC:
        raise RpcError(call.key.ended)
    if call.key.person is None and kind not in PUBLIC:
        raise RpcError("AUTH_KEY_UNREGISTERED")
    if call.key.imported and kind not in ELSEWHERE:
        raise RpcError(f"USER_MIGRATE_{call.me.home_dc}")


def _error(failure: RpcError) -> bytes:
    return bytes(t.RpcError(failure.code, failure.name))


def _packed(result: Any) -> bytes:
    if isinstance(result, bool):
        return _BOOL[result]
    if isinstance(result, list):
        return struct.pack("<Ii", 0x1CB5C415, len(result)) + b"".join(map(_packed, result))
    return bytes(result)
