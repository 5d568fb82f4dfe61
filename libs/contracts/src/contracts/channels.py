"""The platforms Kurir knows."""

from collections.abc import Collection
from enum import StrEnum


class Category(StrEnum):
    """What an account is for."""

    AUTOMATION = "automation"
    EXTRACTOR = "extractor"


class Channel(StrEnum):
    """A platform, as it stands in subjects and bucket names."""

    EMAIL = "email"
    TELEGRAM = "telegram"
    WHATSAPP = "whatsapp"
    BUKALAPAK = "bukalapak"
    SHOPEE = "shopee"
    TOKOPEDIA = "tokopedia"
    INSTAGRAM = "instagram"
    GOOGLE_MAPS = "google_maps"
    OLX = "olx"
    INDONESIAYP = "indonesiayp"

    @property
    def category(self) -> Category:
        """Return whether accounts of this channel send messages or collect leads."""
        return Category.EXTRACTOR if self in EXTRACTORS else Category.AUTOMATION

    @property
    def service(self) -> str:
        """Return the service that holds this channel's sessions."""
        if self in EXTRACTORS:
            return "extractor"
        return "channel-marketplace" if self in MARKETPLACES else f"channel-{self}"


EXTRACTORS = frozenset({Channel.GOOGLE_MAPS, Channel.OLX, Channel.INDONESIAYP})
MARKETPLACES = frozenset({Channel.BUKALAPAK, Channel.SHOPEE, Channel.TOKOPEDIA, Channel.INSTAGRAM})
BROWSERS = frozenset({Channel.WHATSAPP, *MARKETPLACES})
"""Channels whose session is a browser's profile: a person may log in elsewhere and import it."""
MESSAGING = tuple(c for c in Channel if c not in EXTRACTORS)
"""Channels with a lane, in the product's order."""


def known_channels(names: Collection[str]) -> tuple[Channel, ...]:
    """Return the named channels in the product's order. Raises ValueError telling which are none."""
    unknown = set(names) - set(Channel)
    if unknown:
        raise ValueError(f"unknown channels: {', '.join(sorted(unknown))}; known: {', '.join(Channel)}")
    return tuple(channel for channel in Channel if channel in names)
