"""The suppression list under several address keys."""

from datetime import UTC, datetime

import pytest
from channelkit.suppressions import Suppressions
from contracts.channels import Channel
from contracts.state import SuppressionEntry
from contracts.topology import topology
from servicekit import topology as server_topology
from servicekit.kv import Bucket
from servicekit.secrets import AddressHasher

CHANNEL = Channel.TELEGRAM


@pytest.mark.parametrize("keys", ["new,old", "old,new"])
async def test_the_strictest_of_several_entries_counts(bus, keys):
    """Blocked under one key and unsubscribed under the other: not even a person may answer."""
    await server_topology.apply(bus.js, topology([CHANNEL]))
    bucket = Bucket(bus, "suppressions", SuppressionEntry)
    for key, reason in (("old", "blocked"), ("new", "unsubscribed")):
        digest = AddressHasher(key).digest(CHANNEL, "ani")
        await bucket.put(f"{CHANNEL}.{digest}", SuppressionEntry(reason=reason, at=datetime.now(UTC)))
    found = await Suppressions(bus, CHANNEL, AddressHasher(keys)).of(["ani", "budi"])
    assert {address: entry.reason for address, entry in found.items()} == {"ani": "blocked"}
