"""What is going on while a process dies at its point; each story returns what the table says: `<deliveries> <state>`."""

import asyncio

from kurir.demo.rest import wait_for

from tests.support import crash
from tests.support.books import Mailbox, open_books, open_mailbox
from tests.support.crash_cases import (
    DELETING,
    INBOUND,
    PLAIN,
    RECALLING,
    SENDING,
    TELEGRAM_DELETING,
    TELEGRAM_INBOUND,
    TELEGRAM_SENDING,
    Case,
)
from tests.support.live import Live

MAILS = 8
QUEUE = 40
"""20 s of the slow account's pace."""
PATIENCE_SECONDS = 90


async def sending(kurir: Live, case: Case) -> str:
    """Let the channel die while it sends."""
    bubbles = ["Stok terbatas.", "Mau pesan?"] if case.point == "lane.after_part" else []
    kurir.outside.parts = 1 + len(bubbles)
    story, campaign = await crash.draft(kurir, await crash.account(kurir, crash.FAST), bubbles=bubbles)
    if case.does == "refused":
        await kurir.outside.refuse_one()
    async with crash.dying(kurir, case):
        await crash.process(kurir, campaign)
    await story.watch(campaign)
    return await crash.reconciled(kurir, case, campaign)


async def dispatching(kurir: Live, case: Case) -> str:
    """Let campaigns die while it dispatches or hears outcomes."""
    story, campaign = await crash.draft(kurir, await crash.account(kurir, crash.FAST))
    async with crash.dying(kurir, case):
        await crash.process(kurir, campaign)
    await crash.process(kurir, campaign)  # it may have died before it took the request
    await story.watch(campaign)
    return await crash.reconciled(kurir, case, campaign)


async def recalling(kurir: Live, case: Case) -> str:
    """Let campaigns die while a campaign with a full queue is paused or cancelled."""
    account = await crash.account(kurir, crash.SLOW)
    story, campaign = await crash.draft(kurir, account, QUEUE)
    async with crash.dying(kurir, case):
        before = await kurir.received()
        await crash.process(kurir, campaign)
        await kurir.until_received(before + 3)
        await crash.press(kurir, f"/v1/campaigns/{campaign}/{case.does}")
    await _stands_still(kurir, campaign, "pending" if case.does == "pause" else "cancelled")
    if case.does == "pause":
        await crash.hasten(kurir, account)
        await crash.press(kurir, f"/v1/campaigns/{campaign}/resume")
        await story.watch(campaign)
    return await crash.reconciled(kurir, case, campaign)


async def _stands_still(kurir: Live, campaign: str, state: str) -> None:
    """Wait until nothing is queued any more: from then on nothing leaves."""

    async def recalled() -> bool:
        return "queued" not in (await open_books(kurir, campaign)).states()

    await wait_for("everything to be recalled", recalled, PATIENCE_SECONDS)
    await crash.quiet(kurir)
    books, received = await open_books(kurir, campaign), await kurir.received()
    assert not (found := books.troubles(open_states=("pending",))), found
    assert books.states()[state] > 0
    assert set(books.states()) <= {"sent", state}
    await asyncio.sleep(1)
    assert await kurir.received() == received


async def taking_in(kurir: Live, case: Case) -> str:
    """Let a process die while messages come in."""
    account = await crash.account(kurir, crash.FAST)
    there = await kurir.account(account)
    before = (await kurir.outside.lying(there)).total()
    async with crash.dying(kurir, case):
        await kurir.outside.write(there, MAILS)

    async def shown() -> Mailbox | None:
        box = await open_mailbox(kurir, there, before)
        return box if sum(box.shown.values()) >= MAILS else None

    await wait_for("every message to be shown", shown, PATIENCE_SECONDS)
    await crash.quiet(kurir)
    box = await open_mailbox(kurir, there, before)
    assert len(box.lying) == MAILS
    assert not (found := box.troubles()), found
    return crash.told(case, list(box.shown.values()))


async def deleting(kurir: Live, case: Case) -> str:
    """Let a process die while an account with a full queue is deleted."""
    doomed = await crash.account(kurir, crash.SLOW)
    _, campaign = await crash.draft(kurir, doomed, QUEUE)
    async with crash.dying(kurir, case):
        before = await kurir.received()
        await crash.process(kurir, campaign)
        await kurir.until_received(before + 3)
        await crash.press(kurir, f"/v1/accounts/{doomed}", "DELETE", "accounts")

    async def gone() -> bool:
        url = f"{kurir.rest.services['accounts']}/v1/accounts/{doomed}"
        return (await kurir.rest.http.get(url)).status_code == 404

    async def ended() -> bool:
        counts = (await kurir.rest.call("GET", "campaigns", f"/v1/campaigns/{campaign}"))["counts"]
        return not (counts.get("pending") or counts.get("queued"))

    await wait_for("the account to be gone", gone, PATIENCE_SECONDS)
    await wait_for("every row to end", ended, PATIENCE_SECONDS)
    return await crash.reconciled(kurir, case, campaign)


async def tell(kurir: Live, case: Case) -> str:
    """Do what the case says, on a platform that has served other cases before."""
    for cases, story in _STORIES:
        if case in cases:
            return await story(kurir, case)
    raise LookupError(case.name)


_STORIES = (
    ((*SENDING, *TELEGRAM_SENDING), sending),
    (PLAIN, dispatching),
    (RECALLING, recalling),
    ((*INBOUND, *TELEGRAM_INBOUND), taking_in),
    ((*DELETING, *TELEGRAM_DELETING), deleting),
)
