"""One-click unsubscribing (RFC 8058), as a mail provider does it for its user."""

import re
from time import time
from typing import Any

import httpx

from practice.mail.compose import Heard

TIMEOUT_SECONDS = 10
_URI = re.compile(r"<\s*(https?://[^>\s]+)\s*>", re.IGNORECASE)
_ONE_CLICK = "list-unsubscribe=one-click"


def one_click_url(heard: Heard) -> str | None:
    """Return the URL to post to, or None where the message does not offer one click."""
    posting = heard.header("list-unsubscribe-post").replace(" ", "").lower()
    found = _URI.search(heard.header("list-unsubscribe").replace(" ", ""))
    return found.group(1) if found and posting == _ONE_CLICK else None


async def unsubscribe(client: httpx.AsyncClient, heard: Heard) -> dict[str, Any]:
    """Post once and return what happened: url, HTTP status or error, `at` in seconds since 1970.

    RFC 8058 section 3.2: no cookies, no redirects followed.
    """
    record: dict[str, Any] = {
        "recipient": heard.recipient,
        "message_id": heard.header("message-id"),
        "url": one_click_url(heard),
        "status": None,
        "error": None,
        "at": time(),
    }
    if record["url"] is None:
        record["error"] = "the message offers no one-click unsubscribing"
        return record
    try:
        answer = await client.post(record["url"], data={"List-Unsubscribe": "One-Click"}, timeout=TIMEOUT_SECONDS)
        record["status"] = answer.status_code
    except httpx.HTTPError as error:
        record["error"] = f"{type(error).__name__}: {error}"
    return record
