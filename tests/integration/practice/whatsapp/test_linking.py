"""QR texts rotate and expire; the phone links the page by one of them, or by a pairing code."""

import httpx
import pytest
from practice.testing import eventually
from practice.whatsapp import WhatsAppSettings

SHOP, BUDI = "+62811000001", "+62811000002"


async def test_a_scanned_page_becomes_ready_and_the_bundle_finds_all_it_looks_for(open_page, whatsapp):
    async with open_page() as page:
        text = await page.qr_text()
        assert await page.run("() => WPP.conn.isAuthenticated()") is False
        assert len(text.split(",")) == 4
        assert await whatsapp.scan(text, SHOP) is True
        await page.ready()
        assert await page.run("() => String(WPP.conn.getMyUserId())") == "62811000001@c.us"
        assert await page.run("() => WPP.conn.getAuthCode()") is None
        modes = page.heard("conn.stream_mode_changed")
        assert modes[0] == "QR"
        assert modes[-1] == "MAIN"
        assert page.errors == []


async def test_a_text_can_be_scanned_once_and_only_as_shown(open_page, whatsapp):
    async with open_page() as page:
        text = await page.qr_text()
        with pytest.raises(httpx.HTTPStatusError, match="409"):
            await whatsapp.scan(",".join([*text.split(",")[:-1], "another page's key"]), SHOP)
        with pytest.raises(httpx.HTTPStatusError, match="409"):
            await whatsapp.scan(text, "+62899999999")
        assert await whatsapp.scan(text, SHOP)
        with pytest.raises(httpx.HTTPStatusError, match="409"):
            await whatsapp.scan(text, BUDI)


async def test_a_pairing_code_links_the_phone_it_was_made_for(open_page, whatsapp):
    async with open_page() as page:
        await page.qr_text()
        code = await page.run("(phone) => WPP.conn.genLinkDeviceCodeForPhoneNumber(phone)", SHOP[1:])
        assert len(code) == 8
        for phone, given in ((BUDI, code), (SHOP, "AAAAAAAA")):
            with pytest.raises(httpx.HTTPStatusError, match="409"):
                await whatsapp.enter_pairing_code(given, phone)
        assert await whatsapp.enter_pairing_code(f"{code[:4]}-{code[4:].lower()}", SHOP)
        await page.ready()


async def test_a_phone_may_end_at_the_passkey_screen(open_page, whatsapp):
    await whatsapp.put_number(SHOP, passkey=True)
    async with open_page() as page:
        assert await whatsapp.scan(await page.qr_text(), SHOP) is False
        await eventually(lambda: page.run("() => document.body.innerText.includes('passkey')"))
        assert await page.run("() => WPP.conn.getAuthCode()") is None
        assert await page.run("() => WPP.conn.isAuthenticated()") is False


@pytest.mark.parametrize(("screen", "says", "mode"), [("unknown", "new", "SYNCING"), ("terms", "terms", "TOS_BLOCK")])
async def test_screens_that_only_a_person_can_pass(open_page, whatsapp, screen, says, mode):
    await whatsapp.set_faults(screen=screen)
    async with open_page() as page:
        await eventually(lambda: page.run("() => window.WPP && WPP.isReady"), 30)
        shown = await page.run("() => [document.body.innerText, WPP.conn.getStreamData().mode]")
        assert says in shown[0]
        assert shown[1] == mode
        assert await page.run("() => WPP.conn.getAuthCode()") is None


class TestRotation:
    @pytest.fixture
    def settings(self) -> WhatsAppSettings:
        return WhatsAppSettings(qr_seconds=1.5)

    async def test_texts_follow_one_another_until_the_page_waits_for_a_person(self, open_page, whatsapp):
        async with open_page() as page:
            first = await page.qr_text()
            second = await page.qr_text(but=first)
            assert second != first
            with pytest.raises(httpx.HTTPStatusError, match="replaced"):
                await whatsapp.scan(first, SHOP)
            await page.hears("conn.qrcode_idle")
            assert await page.run("() => WPP.conn.getAuthCode()") is None
            texts = [told["fullCode"] for told in page.heard("conn.auth_code_change") if told]
            assert 4 <= len(set(texts)) <= 6
            with pytest.raises(httpx.HTTPStatusError, match="409"):
                await whatsapp.scan(texts[-1], SHOP)
            renewed = (await page.run("() => WPP.conn.refreshQR()"))["fullCode"]
            assert renewed not in texts
            assert await whatsapp.scan(renewed, SHOP)
            await page.ready()
