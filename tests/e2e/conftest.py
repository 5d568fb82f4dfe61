"""A whole platform as real processes, on its own ports and folder."""

import pytest

from tests.support.live import Live, live


@pytest.fixture
async def kurir(tmp_path):
    """Yield a platform of its own, which the test may kill parts of."""
    async with live(tmp_path / "kurir") as running:
        yield running


__all__ = ["Live", "kurir"]
