"""Ids derived from what they name, so that doing a thing twice gives the same id."""

import hashlib
import re

_MESSAGE_ID = re.compile(r"<?kurir\.(\d{1,6})\.([A-Za-z0-9_-]{1,64}(?:\.[A-Za-z0-9_-]{1,64})?)@[^>\s]+>?")


def digest(*parts: object) -> str:
    """Return 32 hex digits (128 bits of SHA-256) of the parts; no two lists of parts share an input."""
    text = "".join([f"{len(p)}:{p}" for p in map(str, parts)])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def row_id(campaign_id: str, address: str, step: int = 0) -> str:
    """Return the id a recipient's row keeps for its whole life (architecture 3.3)."""
    return digest("row", campaign_id, address.strip().casefold(), step)


def platform_key(row: str, wanted: int, part: int = 0) -> str:
    """Return the platform's idempotency key of one bubble; it changes only when a person asks for the message again."""
    return digest("platform", row, wanted, part)


def message_id(row: str, wanted: int, domain: str) -> str:
    """Return the RFC 5322 Message-ID of a row, brackets included; replies and bounces lead back to the row by it."""
    return f"<kurir.{wanted}.{row}@{domain}>"


def parse_message_id(text: str) -> tuple[str, int] | None:
    """Return (row, wanted) of the first Message-ID of ours in *text*, or None."""
    found = _MESSAGE_ID.search(text)
    return (found[2], int(found[1])) if found else None


def inbound_id(account_id: str, platform_id: str, raw_digest: str = "") -> str:
    """Return an inbound message's id; e-mail adds the raw message's digest since senders reuse Message-IDs."""
    return digest("inbound", account_id, platform_id, raw_digest)
