"""Domain events of contacts; they lie in the contact's `pending_events` until the relay has published them."""

import secrets
from typing import Any

from contracts import subjects
from contracts.events import ContactTagged
from servicekit.clock import utcnow


def tagged(contact_id: str, tags: list[str]) -> list[dict[str, Any]]:
    """Return one ContactTagged per tag, as `pending_events` holds them."""
    subject = subjects.domain("campaigns", "contact", "tagged")
    return [
        {
            "id": secrets.token_hex(12),
            "subject": subject,
            "type": ContactTagged.NAME,
            "data": ContactTagged(contact_id=contact_id, tag=tag, at=utcnow()).model_dump(mode="json"),
        }
        for tag in tags
    ]
