"""The whole campaigns service on a real NATS and a real store, and a scripted lane in the place of a channel."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.campaigns.dispatch.kit import Service, running
from tests.support.servers import NatsServer


@pytest.fixture
async def service(fresh_nats: NatsServer, mongo_url: str, fresh_db: str) -> AsyncIterator[Service]:
    """Run the service for one test, all its loops included."""
    async with running(fresh_nats, mongo_url, fresh_db) as made:
        yield made
