"""The Telegram channel dies at each step of sending and receiving, and so does Telegram: nothing is lost, doubled or unknown."""

import pytest
import pytest_asyncio
from contracts.channels import Channel

from tests.support import crash, crash_stories
from tests.support.books import open_books
from tests.support.crash_cases import ON_TELEGRAM

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]
PLATFORM = "practice-telegram"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kurir(tmp_path_factory):
    async with crash.ground(tmp_path_factory.mktemp("telegram") / "kurir", Channel.TELEGRAM) as running:
        yield running


@pytest.mark.short
@pytest.mark.parametrize("case", crash.chosen([case for case in ON_TELEGRAM if case.short]))
async def test_dying_at_some_places(kurir, case):
    await crash_stories.tell(kurir, case)


@pytest.mark.full
@pytest.mark.parametrize("case", crash.chosen(ON_TELEGRAM))
async def test_dying_there(kurir, case, record_property):
    record_property("crash", [case.name, await crash_stories.tell(kurir, case)])


async def test_telegram_itself_dies_and_cuts_its_connections(kurir):
    """Telegram remembers, as the real one does; what it had taken when it died is recognised when it is sent again."""
    kurir.outside.parts = 1
    account = await crash.account(kurir, {"per_second": 25})
    story, campaign = await crash.draft(kurir, account, 100)
    before = await kurir.received()
    await crash.process(kurir, campaign)
    await kurir.until_received(before + 15)
    assert await kurir.story.telegram.disconnect() > 0
    await kurir.until_received(before + 35)
    await kurir.kill(PLATFORM)
    await kurir.start(PLATFORM)
    await kurir.until_received(before + 60)
    assert await kurir.story.telegram.disconnect() > 0
    await story.watch(campaign)
    await crash.quiet(kurir)
    books = await open_books(kurir, campaign)
    assert books.troubles() == []
    assert books.states() == {"sent": 100}
