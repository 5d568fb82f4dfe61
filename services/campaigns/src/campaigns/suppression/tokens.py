"""One-click unsubscribe links: the suppression's key, the campaign and the row, with a MAC.

No address is in the link, nothing of it is in the store, and its keys are never retired: it works for ever.
"""

import functools
from dataclasses import dataclass

from contracts.ids import row_id
from servicekit.secrets import AddressHasher, Signer

from campaigns.context import Context

PATH = "/u/"


@dataclass(frozen=True)
class Claim:
    """What a link says: whom not to write to on which channel, and which message it stood in."""

    channel: str
    digest: str
    campaign: str
    row: str

    @property
    def key(self) -> str:
        """Return the key of the suppression."""
        return f"{self.channel}.{self.digest}"


def hasher(ctx: Context) -> AddressHasher:
    """Return the hasher of addresses. Raises SealError without KURIR_ADDRESS_HMAC_KEYS."""
    return _hasher_of(ctx.settings.address_hmac_keys.get_secret_value())


def url(ctx: Context, channel: str, address: str, campaign: str = "", row: str = "") -> str:
    """Return the one-click URL (RFC 8058) for a normalised address; relative where PUBLIC_URL is not set.

    *row*: the campaign's row for the address, where it is known.
    """
    digest = hasher(ctx).digest(channel, address)
    token = _signer(ctx).sign("/".join((channel, digest, campaign, row or row_id(campaign, address))))
    return f"{ctx.settings.public_url.rstrip('/')}{PATH}{token}"


def read(ctx: Context, token: str) -> Claim:
    """Return what a link says. Raises SealError for one that is not ours."""
    channel, digest, campaign, row = _signer(ctx).verify(token).split("/")
    return Claim(channel, digest, campaign, row)


def _signer(ctx: Context) -> Signer:
    return _signer_of(ctx.settings.address_hmac_keys.get_secret_value())


@functools.lru_cache(maxsize=8)
def _hasher_of(keys: str) -> AddressHasher:
    return AddressHasher(keys)


@functools.lru_cache(maxsize=8)
def _signer_of(keys: str) -> Signer:
    """Deriving keys costs as much as rendering a message: once per process, not once per row."""
    return Signer(keys)
