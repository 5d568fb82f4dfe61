"""The page and its server on a bad day: refused, slow, lost, frozen, crashed, grown, and with functions missing."""

import asyncio
from time import monotonic

import httpx
import psutil
import pytest
from playwright.async_api import Error
from practice.testing import eventually

SHOP, ANI = "+62811000001", "+62811000003"
ANI_ID = "62811000003@c.us"
KEY = f"true_{ANI_ID}_3EB0EE01"
ACK = f"() => WPP.chat.getMessageById('{KEY}').then((found) => found.ack)"


async def is_on_its_way(page) -> None:
    """Send without waiting for the server's answer, which may never come."""
    await page.send_text(ANI_ID, "Halo", messageId=KEY, waitForAck=False)


async def test_a_refused_message_fails_and_does_not_arrive(shop, whatsapp):
    await whatsapp.set_faults(refuse_send={"result": "ERROR_EXPIRED", "recipient": "+62811*", "times": 1})
    sent = await shop.send_text(ANI_ID, "Halo", messageId=KEY)
    assert (sent["ack"], sent["sendMsgResult"]["messageSendResult"]) == (-1, "ERROR_EXPIRED")
    assert (await whatsapp.counts())["received"] == 0
    assert (await shop.send_text(ANI_ID, "Halo", messageId=KEY))["ack"] >= 1
    assert (await whatsapp.faults())["refuse_send"][0]["hits"] == 1


async def test_a_slow_answer_holds_the_send_back(shop, whatsapp):
    await whatsapp.set_faults(slow_seconds=1)
    began = monotonic()
    await shop.send_text(ANI_ID, "Halo")
    assert monotonic() - began >= 1


async def test_a_lost_acknowledgement_is_told_after_a_restart(open_linked, open_page, whatsapp):
    await whatsapp.put_number(ANI, acts="off", lid_chats=False)
    await whatsapp.set_faults(lose_ack=True)
    async with open_linked() as page:
        await is_on_its_way(page)
        await eventually(lambda: whatsapp.messages(to=ANI))
        assert await page.run(ACK) == 0
    async with open_page() as page:
        await page.becomes(ACK.replace("found.ack", "found.ack === 1"))
    assert (await whatsapp.counts())["received"] == 1


async def test_a_dropped_message_stays_unsent(open_linked, open_page, whatsapp):
    await whatsapp.set_faults(drop_message=True)
    async with open_linked() as page:
        await is_on_its_way(page)
        await eventually(whatsapp_was_hit(whatsapp, "drop_message"))
    async with open_page() as page:
        await page.ready()
        assert await page.run(ACK) == 0
    assert (await whatsapp.counts())["received"] == 0


def whatsapp_was_hit(whatsapp, name):
    async def hit() -> bool:
        return (await whatsapp.faults())[name][0]["hits"] > 0

    return hit


async def test_a_frozen_page_answers_nobody_until_it_thaws(shop, whatsapp):
    began = monotonic()
    assert (await whatsapp.trouble(SHOP, freeze_seconds=2))["pages"] == 1
    await eventually(lambda: not_answering(shop))
    assert await shop.run("() => 1") == 1
    assert monotonic() - began >= 2


async def not_answering(page) -> bool:
    try:
        await asyncio.wait_for(page.run("() => 1"), 0.3)
    except TimeoutError:
        return True
    return False


async def test_a_crashed_page_is_gone_and_comes_back_by_itself_only_when_opened_anew(open_linked, open_page, whatsapp):
    async with open_linked() as page:
        crashed = asyncio.get_running_loop().create_future()
        page.page.on("crash", lambda _: crashed.set_result(True))
        assert (await whatsapp.trouble(SHOP, crash=True))["crashed"] >= 1
        assert await asyncio.wait_for(crashed, 10)
    async with open_page() as page:
        await page.ready()


@pytest.mark.parametrize(("at", "arrives"), [("before", 0), ("after", 1)])
async def test_the_page_crashes_while_a_message_is_out(open_linked, open_page, whatsapp, at, arrives):
    await whatsapp.set_faults(crash_on_send={"at": at, "times": 1})
    async with open_linked() as page:
        with pytest.raises(Error, match=r"crashed|closed"):
            await page.send_text(ANI_ID, "Halo", messageId=KEY)
        assert (await whatsapp.counts())["received"] == arrives
    async with open_page() as page:
        await page.ready()
        known = await page.run("(key) => WPP.chat.getMessageById(key).then((found) => found.ack, () => null)", KEY)
        assert known is None or (known >= 1) == bool(arrives)


async def test_missing_functions_are_missed_by_the_bundle(open_linked, open_page, whatsapp):
    async with open_linked():
        pass
    await whatsapp.set_faults(missing=["addAndSendMsgToChat", "WAWebQueryExistsJob"])
    async with open_page() as page:
        await page.ready()
        assert await page.run("() => typeof WPP.whatsapp.functions.addAndSendMsgToChat") == "undefined"
        assert await page.run("() => typeof WPP.whatsapp.functions.findOrCreateLatestChat") == "function"
        with pytest.raises(Error, match="not a function"):
            await page.send_text(ANI_ID, "Halo")


async def test_a_number_is_no_longer_on_whatsapp(shop, whatsapp):
    await whatsapp.set_faults(not_on_whatsapp={"recipient": ANI})
    assert await shop.run("(id) => WPP.contact.queryWidExists(id)", ANI_ID) is None


async def test_a_growing_page_truly_takes_memory(shop, whatsapp):
    def renderers() -> int:
        mine = psutil.Process().children(recursive=True)
        return sum(one.memory_info().rss for one in mine if "--type=renderer" in one.cmdline())

    before = renderers()
    await whatsapp.trouble(SHOP, grow_megabytes=150)

    async def grown() -> bool:
        return renderers() - before > 140_000_000

    await eventually(grown, 30)


async def test_unknown_faults_are_refused(whatsapp):
    for wrong in ({"no_such": True}, {"slow_seconds": True}, {"missing": True}, {"refuse_send": {"result": "WHAT"}}):
        with pytest.raises(httpx.HTTPStatusError, match="422"):
            await whatsapp.set_faults(**wrong)
    await whatsapp.set_faults(slow_seconds=1, lose_ack=True)
    await whatsapp.clear_faults("slow_seconds")
    assert list(await whatsapp.faults()) == ["lose_ack"]
