"""Some places where a process dies, from each part of an e-mail's way; the long form (--full) dies at all of them."""

import pytest
import pytest_asyncio

from tests.support import crash, crash_stories
from tests.support.crash_cases import CASES, ON_TELEGRAM

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180), pytest.mark.short]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kurir(tmp_path_factory):
    async with crash.ground(tmp_path_factory.mktemp("short") / "kurir") as running:
        yield running


@pytest.mark.parametrize("case", crash.chosen([case for case in CASES if case.short and case not in ON_TELEGRAM]))
async def test_dying_there(kurir, case):
    await crash_stories.tell(kurir, case)
