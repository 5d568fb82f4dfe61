"""A login lives in the profile folder alone, until the phone or the page ends it."""

import pytest
from playwright.async_api import async_playwright
from practice.testing import eventually
from practice.whatsapp.testing import BROWSER

SHOP = "+62811000001"
KEY_IS_BOUND = """() => new Promise((done) => {
  const opened = indexedDB.open("model-storage");
  opened.onsuccess = () => {
    const got = opened.result.transaction("keys").objectStore("keys").get("login");
    got.onsuccess = () => done(got.result.extractable);
  };
})"""


async def closed(whatsapp) -> bool:
    (device,) = await whatsapp.devices()
    return not device["open"]


async def test_it_survives_a_reload_and_a_restart_with_the_same_profile(open_linked, open_page, whatsapp):
    async with open_linked() as page:
        await page.page.reload()
        await page.ready()
    await eventually(lambda: closed(whatsapp))
    async with open_page() as page:
        await page.ready()
        assert page.heard("conn.auth_code_change") == [None]
    assert len(await whatsapp.devices()) == 1


async def test_a_copy_of_the_storage_without_the_profile_is_not_a_login(platform, open_linked):
    async with open_linked() as page:
        state = await page.page.context.storage_state(indexed_db=True)
        assert "WASealedLogin" in str(state)
        assert await page.run(KEY_IS_BOUND) is False
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        other = await (await browser.new_context(storage_state=state)).new_page()
        await other.goto(platform.ports.page_url)
        await other.wait_for_selector("canvas")
        await browser.close()


@pytest.mark.parametrize("reason", ["user_initiated", "account_locked"])
async def test_the_phone_ends_it_and_says_why(shop, whatsapp, reason):
    assert await whatsapp.log_out(SHOP, reason) == 1
    await shop.hears("conn.logout")
    assert shop.heard("conn.logout_reason") == [reason]
    assert await shop.qr_text()
    assert await whatsapp.devices() == []


async def test_a_login_that_ended_while_the_page_was_closed_is_told_at_its_start(open_linked, open_page, whatsapp):
    async with open_linked():
        pass
    await whatsapp.log_out(SHOP, "unknown_companion")
    async with open_page() as page:
        await page.hears("conn.logout")
        assert page.heard("conn.logout_reason") == ["unknown_companion"]
        assert "MAIN" not in page.heard("conn.stream_mode_changed")
        assert await page.qr_text()


async def test_the_page_can_end_it_itself(shop, whatsapp):
    assert await shop.run("() => WPP.conn.logout()") is True
    assert await shop.qr_text()
    assert await whatsapp.devices() == []


async def test_the_newest_page_of_a_login_wins(shop, whatsapp):
    second = await shop.page.context.new_page()
    await second.goto(shop.page.url)
    await eventually(
        lambda: second.evaluate("() => window.WPP?.isReady && WPP.conn.getStreamData().mode === 'MAIN'"), 30
    )
    mode = "() => WPP.conn.getStreamData().mode === 'CONFLICT' && document.body.innerText.includes('another window')"
    await eventually(lambda: shop.run(mode))
    assert len(await whatsapp.devices()) == 1
