"""The fixture all parts of the suite share."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from channelkit.suite.rig import Rig, World


class Rules:
    """Tests of one part of the contract."""

    @pytest.fixture
    def contract_nats_url(self, fresh_nats: Any) -> str:
        """The repository's fixture of a real NATS server per test; override it to run the suite elsewhere."""
        return str(fresh_nats.url)

    @pytest.fixture
    async def rig(self, contract_nats_url: str, world: World) -> AsyncIterator[Rig]:
        """One channel on a NATS server of its own, without a replica yet."""
        made = Rig(contract_nats_url, world)
        await made.open()
        yield made
        await made.close()
