"""The services there are, and which of them a deployment runs."""

import os
from collections.abc import Collection
from dataclasses import dataclass

from contracts.channels import Channel

from kurir.home import Trouble

VARIABLE = "KURIR_CHANNELS"


@dataclass(frozen=True)
class Service:
    """How a service is run."""

    module: str
    port: int
    """The usual one."""
    channel: Channel | None = None
    """It is run where the deployment is subscribed to this channel; none: always."""
    browsers: bool = False
    """Each of its accounts is a browser with a profile, which the data folder keeps."""


SERVICES = {
    "accounts": Service("accounts.main", 8001),
    "campaigns": Service("campaigns.main", 8002),
    "channel-email": Service("channel_email.main", 8003, Channel.EMAIL),
    "channel-telegram": Service("channel_telegram.main", 8004, Channel.TELEGRAM),
    "channel-whatsapp": Service("channel_whatsapp.main", 8005, Channel.WHATSAPP, browsers=True),
}
DEFAULT_CHANNELS = tuple(service.channel for service in SERVICES.values() if service.channel)
"""Channels whose service exists."""


def subscribed() -> tuple[Channel, ...]:
    """Return what `KURIR_CHANNELS` names, in the product's order; every channel whose service exists where it is not set.

    Raises Trouble.
    """
    named = {part.strip() for part in os.environ.get(VARIABLE, "").split(",")} - {""}
    if unknown := named - set(Channel):
        raise Trouble(f"{VARIABLE}: there is no {', '.join(sorted(unknown))}; there is: {', '.join(DEFAULT_CHANNELS)}")
    return tuple(channel for channel in Channel if channel in named) or DEFAULT_CHANNELS


def run_for(channels: Collection[Channel]) -> dict[str, Service]:
    """Return the services to run for these channels; one whose service does not exist yet has none."""
    return {name: found for name, found in SERVICES.items() if found.channel is None or found.channel in channels}
