"""Domain events of contacts; they lie in the contact until the relay has published them."""

import secrets
from typing import Any

from contracts import subjects
from contracts.events import ContactTagged
from servicekit.clock import utcnow

from campaigns import relay


def tagged(contact_id: str, tags: list[str]) -> list[dict[str, Any]]:
    """Return one ContactTagged per tag, as `pending_events` holds them."""
    subject, now = subjects.domain("campaigns", "contact", "tagged"), utcnow()
    return [
        relay.event(subject, ContactTagged(contact_id=contact_id, tag=tag, at=now), secrets.token_hex(12))
        for tag in tags
    ]
