"""What a person wants of `kurir login`, and what came of it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Wishes:
    """What the person asked for."""

    account: str
    program: str = ""
    headless: bool = False
    anew: bool = False
    ready_seconds: float = 180.0
    settle_seconds: float | None = None
    """How long the page is left alone after the login; none: as its channel needs."""


@dataclass
class Outcome:
    """What came of it; `ready` says whether the account works now."""

    account: str
    name: str
    channel: str
    bytes: int = 0
    session_import: str = ""
    import_state: str = ""
    status: str = ""
    reason: str = ""
    seconds: float = 0.0
    ready: bool = False
