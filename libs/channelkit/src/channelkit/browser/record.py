"""The record of an account's profile, and what it says of a copy."""

from datetime import datetime
from typing import Protocol

from pydantic import BaseModel

from channelkit.browser.profile import Marker

KEY = "profile"
"""Its key among the account's memos."""


class Record(BaseModel):
    """What the account remembers of its profile."""

    volume: str
    generation: int
    clean: bool
    """Closed gracefully, and this very state lies in the vault."""
    login: bool = True
    """False: nobody is logged in, so nothing can be rolled back."""
    holder: str = ""
    at: datetime


class ProfileHost(Protocol):
    """What of channelkit's Host is needed here."""

    async def remember(self, key: str, value: bytes) -> None:
        """Keep a small fact of the account, sealed."""

    async def recall(self, key: str) -> bytes | None:
        """Return it, or None."""

    async def save_session(self, data: bytes) -> None:
        """Seal a session into the vault."""

    async def load_session(self) -> bytes | None:
        """Return the session in the vault, opened."""

    async def imported_session(self) -> bytes | None:
        """Return the session a person imported, until one is saved after it."""

    async def refuse_import(self, why: str) -> None:
        """Say that what was imported is no session, and have it offered no more."""


def may_go_on(record: Record, here: Marker) -> bool:
    """Return whether this volume's copy is the latest one."""
    if here.generation > record.generation:
        return True  # the record comes from a backup
    if here.volume != record.volume or record.generation not in (here.generation, here.next):
        return False  # another copy; or this volume came back from a backup
    return here.clean or not record.clean


def in_words(record: Record) -> str:
    """Return why nobody here may go on, for people."""
    return (
        f"the latest copy of the profile is on another volume: it has been in use on {record.holder} since "
        f"{record.at:%Y-%m-%d %H:%M} UTC and was not closed; start Kurir with that volume, or log in anew"
    )
