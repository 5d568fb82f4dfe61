"""The channel dies at each step of sending: the message at the point ends as docs/operating promises, the others are sent."""

import pytest
import pytest_asyncio

from tests.support import crash
from tests.support.crash_cases import SENDING

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kurir(tmp_path_factory):
    async with crash.ground(tmp_path_factory.mktemp("sending") / "kurir") as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def account(kurir):
    return await crash.account(kurir, crash.FAST)


@pytest.mark.parametrize("case", crash.chosen(SENDING))
async def test_the_channel_dies(kurir, account, case, record_property):
    story, campaign = await crash.draft(kurir, account)
    if case.does == "refused":
        await kurir.mail.set_faults(refuse_5xx={"at": "rcpt", "times": 1})
    async with crash.dying(kurir, case):
        await crash.press(kurir, f"/v1/campaigns/{campaign}/process")
    await story.watch(campaign)
    record_property("crash", (case.name, await crash.reconciled(kurir, case, campaign)))
