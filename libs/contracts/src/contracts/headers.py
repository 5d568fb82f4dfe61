"""CloudEvents headers (binary mode) of every message."""

from datetime import UTC, datetime

from contracts.base import Message

MSG_ID = "Nats-Msg-Id"
CE_ID, CE_SOURCE, CE_TYPE, CE_TIME, CE_SPEC = "ce-id", "ce-source", "ce-type", "ce-time", "ce-specversion"
ERROR, TRIES, CONSUMER, STREAM_SEQUENCE = "x-error", "x-tries", "x-consumer", "x-stream-sequence"
INCARNATION = "x-incarnation"


def cloud_event(message: Message | type[Message], event_id: str, source: str) -> dict[str, str]:
    """Return the headers of *message*; *source* is the sending service, *event_id* also deduplicates for two minutes."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return {
        MSG_ID: event_id, CE_ID: event_id, CE_SOURCE: source, CE_TYPE: message.ce_type(), CE_TIME: now, CE_SPEC: "1.0",
    }  # fmt: skip


def version_of(headers: dict[str, str] | None, model: type[Message]) -> bool:
    """Return whether the headers, if they name a type at all, name this model's."""
    named = (headers or {}).get(CE_TYPE)
    return named is None or named == model.ce_type()
