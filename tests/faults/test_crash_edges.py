"""A process dies while mail comes in, or while an account with a full queue is deleted. The books agree, and the table of docs/operating is true."""

import pytest
import pytest_asyncio

from tests.support import crash, crash_stories
from tests.support.crash_cases import EDGES

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180), pytest.mark.full]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kurir(tmp_path_factory):
    async with crash.ground(tmp_path_factory.mktemp("edges") / "kurir") as running:
        yield running


@pytest.mark.parametrize("case", crash.chosen(EDGES))
async def test_dying_there(kurir, case, record_property):
    record_property("crash", [case.name, await crash_stories.tell(kurir, case)])
