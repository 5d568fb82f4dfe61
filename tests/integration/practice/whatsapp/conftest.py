"""A practice WhatsApp per test, and real browsers with the unmodified wa-js bundle on its page."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from practice.whatsapp import WhatsAppPlatform, WhatsAppPractice, WhatsAppSettings
from practice.whatsapp.testing import Opened, opened

ROOT = Path(__file__).resolve().parents[4]
BUNDLE = ROOT / "services/channel-whatsapp/web/node_modules/@wppconnect/wa-js/dist/wppconnect-wa.js"
SHOP, BUDI, ANI = "+62811000001", "+62811000002", "+62811000003"

Open = Callable[..., AbstractAsyncContextManager[Opened]]


@pytest.fixture
def settings() -> WhatsAppSettings:
    return WhatsAppSettings(deliver_seconds=0.01, read_seconds=0.01, reply_seconds=0.01)


@pytest.fixture
async def platform(settings) -> AsyncIterator[WhatsAppPlatform]:
    async with WhatsAppPlatform(settings) as running:
        yield running


@pytest.fixture
async def whatsapp(platform) -> AsyncIterator[WhatsAppPractice]:
    """A client, and three people: the shop (the account), Budi (lid chats) and Ani (chats by number)."""
    async with WhatsAppPractice(platform.ports.api_url) as client:
        people = [(SHOP, "Shop", True), (BUDI, "Budi", True), (ANI, "Ani", False)]
        await client.put_numbers([{"phone": phone, "name": name, "lid_chats": lid} for phone, name, lid in people])
        yield client


@pytest.fixture
def open_page(platform, tmp_path) -> Open:
    """Opens the page; each call on the same profile folder unless told another."""
    bundle = Path(os.environ.get("CHANNEL_WHATSAPP_WAJS_FILE") or BUNDLE)

    def open_one(profile: str = "profile") -> AbstractAsyncContextManager[Opened]:
        return opened(platform.ports.page_url, tmp_path / profile, bundle)

    return open_one


@pytest.fixture
def open_linked(open_page, whatsapp) -> Open:
    """Opens the page and links it to the shop's phone."""

    @asynccontextmanager
    async def open_one(profile: str = "profile") -> AsyncIterator[Opened]:
        async with open_page(profile) as page:
            await whatsapp.scan(await page.qr_text(), SHOP)
            await page.ready()
            yield page

    return open_one


@pytest.fixture
async def shop(open_linked) -> AsyncIterator[Opened]:
    """The shop's page, linked and ready."""
    async with open_linked() as page:
        yield page
