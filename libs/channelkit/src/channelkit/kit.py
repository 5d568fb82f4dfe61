"""What one channel of a process shares among its accounts."""

from dataclasses import dataclass

from contracts import subjects
from contracts.channels import Channel
from contracts.state import CursorState, LaneState, SessionState
from servicekit.bus import Bus
from servicekit.kv import Bucket
from servicekit.objects import ObjectBucket
from servicekit.secrets import AddressHasher, Sealer, channel_sealer

from channelkit.desired import Desired
from channelkit.freshness import Freshness
from channelkit.journal import Journal
from channelkit.leases import Leases
from channelkit.members import Members
from channelkit.memos import Memos
from channelkit.protocol import ChannelDriver
from channelkit.settings import ChannelSettings
from channelkit.suppressions import Suppressions
from channelkit.vault import Vault


@dataclass(frozen=True)
class Kit:
    """The collaborators of every account of one channel."""

    bus: Bus
    channel: Channel
    driver: ChannelDriver
    settings: ChannelSettings
    members: Members
    leases: Leases
    desired: Desired
    freshness: Freshness
    journal: Journal
    sealer: Sealer
    vault: Vault
    memos: Memos
    media: ObjectBucket
    cursors: Bucket[CursorState]
    lanes: Bucket[LaneState]
    sessions: Bucket[SessionState]
    suppressions: Suppressions

    @property
    def send_timeout(self) -> float:
        """Return the longest a send may take, in seconds."""
        return self.settings.send_timeout_seconds or self.driver.capabilities.send_timeout_seconds


def make_kit(
    bus: Bus,
    channel: Channel,
    driver: ChannelDriver,
    settings: ChannelSettings,
    *,
    members: Members,
    leases: Leases,
    desired: Desired,
    freshness: Freshness,
) -> Kit:
    """Add what settings and bus alone decide. Raises SealError without keys."""
    sealer = channel_sealer(settings, channel)
    return Kit(
        bus=bus,
        channel=channel,
        driver=driver,
        settings=settings,
        members=members,
        leases=leases,
        desired=desired,
        freshness=freshness,
        journal=Journal(bus),
        sealer=sealer,
        vault=Vault(bus, channel, sealer),
        memos=Memos(bus, channel, sealer),
        media=ObjectBucket(bus, "media"),
        cursors=Bucket(bus, subjects.bucket("cursors", channel), CursorState),
        lanes=Bucket(bus, subjects.bucket("lanes", channel), LaneState),
        sessions=Bucket(bus, subjects.bucket("sessions", channel), SessionState),
        suppressions=Suppressions(bus, channel, AddressHasher(settings.address_hmac_keys)),
    )
