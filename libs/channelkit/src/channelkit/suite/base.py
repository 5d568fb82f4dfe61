"""The fixture all parts of the suite share."""

from collections.abc import AsyncIterator

import pytest

from channelkit.suite.rig import Rig, World


class Rules:
    """Tests of one part of the contract."""

    @pytest.fixture
    async def rig(self, contract_nats_url: str, world: World) -> AsyncIterator[Rig]:
        """One channel on a NATS server of its own, without a replica yet."""
        made = Rig(contract_nats_url, world)
        await made.open()
        yield made
        await made.close()
