"""Telegram keeps the contract of every channel: the real kit on a real NATS, against a real MTProto server."""

import pytest
from channelkit.contract import ChannelContract


@pytest.fixture
def contract_nats_url(fresh_nats):
    return fresh_nats.url


class TestTelegramChannel(ChannelContract):
    """All of it."""

    @pytest.fixture
    async def world(self, world):
        await world.prepare()
        return world
