"""A practice Telegram per test, on free ports, in this process, and Telethon clients of it."""

from collections.abc import AsyncIterator

import pytest
from practice.telegram import TelegramPlatform, TelegramPractice, TelegramSettings
from practice.telegram.testing import connected, signed_in

ANNA, BUDI, SHOP = "+628110000001", "+628110000002", "+628550000001"


@pytest.fixture
async def platform() -> AsyncIterator[TelegramPlatform]:
    async with TelegramPlatform(TelegramSettings(reply_delay_seconds=0, resend_seconds=0)) as running:
        yield running


@pytest.fixture
async def telegram(platform) -> AsyncIterator[TelegramPractice]:
    async with TelegramPractice(platform.ports.api_url) as client:
        await client.put_user(SHOP, name="Toko Halo", username="tokohalo")
        await client.put_user(ANNA, name="Anna", username="anna")
        await client.put_user(BUDI, name="Budi")
        yield client


@pytest.fixture
async def client(platform):
    """A Telethon client that is not signed in."""
    async with connected(platform.ports) as opened:
        yield opened


@pytest.fixture
async def shop(platform, telegram):
    """A Telethon client signed in as the shop."""
    async with signed_in(platform.ports, telegram, SHOP) as opened:
        yield opened


def listening(client, builder, what, into=None):
    """Return a list that fills with `what(event)` of each event a Telethon client is told of."""
    told = [] if into is None else into

    async def handler(event):
        told.append(what(event))

    client.add_event_handler(handler, builder)
    return told


async def holds(told, *wanted):
    """Whether this is the list, for `eventually`."""
    return told == list(wanted)
