"""The W3C trace context: read from HTTP and messages, carried by a context variable, sent on with every publish."""

import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

import structlog

TRACEPARENT = "traceparent"
_PATTERN = re.compile(r"^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$")
_current: ContextVar[str | None] = ContextVar("kurir_traceparent", default=None)


def new_id() -> str:
    """Return a random id of 32 hex digits."""
    return secrets.token_hex(16)


def child() -> str:
    """Return a traceparent for what we send: the current trace, or a new one, with a span of its own."""
    match = _PATTERN.match(_current.get() or "")
    trace, flags = (match[1], match[3]) if match else (secrets.token_hex(16), "01")
    return f"00-{trace}-{secrets.token_hex(8)}-{flags}"


@contextmanager
def continued(headers: Mapping[str, str] | None) -> Iterator[str]:
    """Work inside the trace that *headers* name (or a new one); log lines carry its `trace_id`."""
    given = (headers or {}).get(TRACEPARENT, "")
    match = _PATTERN.match(given)
    parent = given if match else f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
    reset = _current.set(parent)
    with structlog.contextvars.bound_contextvars(trace_id=parent.split("-")[1]):
        try:
            yield parent
        finally:
            _current.reset(reset)
