"""A process dies with mail half taken in, or an account half deleted: every mail is in the inbox once, every row has its end."""

import asyncio

import pytest
import pytest_asyncio
from kurir.demo.email import ADDRESS
from kurir.demo.rest import wait_for

from tests.support import crash
from tests.support.books import open_mailbox
from tests.support.crash_cases import DELETING, INBOUND

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]
MAILS = 8


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kurir(tmp_path_factory):
    async with crash.ground(tmp_path_factory.mktemp("inbound") / "kurir") as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def account(kurir):
    return await crash.account(kurir, crash.FAST)


@pytest.mark.parametrize("case", crash.chosen(INBOUND))
async def test_mail_that_comes_in_is_shown_once(kurir, account, case, record_property):
    before = len(await kurir.mail.mailbox(ADDRESS))
    async with crash.dying(kurir, case):
        await asyncio.gather(*(kurir.mail.inject(ADDRESS, sender=f"n{n}@elsewhere.test") for n in range(MAILS)))

    async def shown():
        box = await open_mailbox(kurir, account, ADDRESS)
        return box if sum(box.shown.values()) >= before + MAILS else None

    await wait_for("every mail to be shown", shown, 90)
    await crash.quiet(kurir)
    box = await open_mailbox(kurir, account, ADDRESS)
    assert len(box.lying) == before + MAILS
    assert box.troubles() == []
    record_property("crash", (case.name, crash.told(case, list(box.shown.values()))))


@pytest.mark.parametrize("case", crash.chosen(DELETING))
async def test_an_account_is_deleted_with_messages_in_its_queue(kurir, case, record_property):
    doomed = await crash.account(kurir, crash.SLOW)
    _, campaign = await crash.draft(kurir, doomed)
    async with crash.dying(kurir, case):
        before = await kurir.received()
        await crash.press(kurir, f"/v1/campaigns/{campaign}/process")
        await kurir.until_received(before + 3)
        await crash.press(kurir, f"/v1/accounts/{doomed}", "DELETE", "accounts")
    await wait_for("the account to be gone", lambda: gone(kurir, doomed), 90)

    async def ended():
        counts = (await kurir.rest.call("GET", "campaigns", f"/v1/campaigns/{campaign}"))["counts"]
        return not (counts.get("pending") or counts.get("queued"))

    await wait_for("every row to end", ended, 90)
    record_property("crash", (case.name, await crash.reconciled(kurir, case, campaign)))


async def gone(kurir, account):
    headers = kurir.platform.endpoints.services["accounts"]
    found = await kurir.rest.http.get(f"http://127.0.0.1:{headers}/v1/accounts/{account}")
    return found.status_code in (404, 410)
