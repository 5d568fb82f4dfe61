"""Recipients that act, told by their address: `reply-12@…`, `u7+bounce@…`."""

import re
from enum import Enum


class Behaviour(str, Enum):
    """What a recipient does with a message."""

    REPLY = "reply"
    BOUNCE = "bounce"
    SOFTBOUNCE = "softbounce"
    REJECT = "reject"
    TEMPFAIL = "tempfail"
    UNSUBSCRIBE = "unsubscribe"
    AUTOREPLY = "autoreply"
    COMPLAIN = "complain"


_WORDS = "|".join(sorted((one.value for one in Behaviour), key=len, reverse=True))
_LOCAL_PART = re.compile(rf"(?:.*\+)?({_WORDS})(?:[-.]?\d+)?(?:\+.*)?", re.IGNORECASE)


def behaviour_of(address: str) -> Behaviour | None:
    """Return what this address does, or None for one that just receives."""
    found = _LOCAL_PART.fullmatch(address.rpartition("@")[0])
    return Behaviour(found.group(1).lower()) if found else None
