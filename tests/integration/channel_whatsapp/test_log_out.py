"""A deleted account's phone lists its device no more, also where its browser was closed."""

import time

import pytest

from tests.integration.channel_whatsapp.recorder import Recorder

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_an_account_that_was_off_is_logged_out_on_the_phone_as_well(link, driver, whatsapp):
    host = Recorder()
    async with link(host):
        assert len(await whatsapp.devices()) == 1
    session = await driver.open(host)  # as the kit does, only to log out
    await session.log_out()
    await session.close()
    assert await whatsapp.devices() == []


async def test_an_account_nobody_logged_in_to_is_deleted_at_once(driver, whatsapp):
    began = time.monotonic()
    session = await driver.open(Recorder("new"))
    await session.log_out()
    await session.close()
    assert await whatsapp.devices() == []
    assert time.monotonic() - began < 15
