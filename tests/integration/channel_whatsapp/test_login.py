"""How an account gets linked, what is shown to a person on the way, and what is never written down."""

import logging
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from contracts.state import SessionStatus
from practice.whatsapp.page_api import PAGE
from servicekit.errors import Unavailable

from tests.integration.channel_whatsapp.conftest import OWN, READY
from tests.integration.channel_whatsapp.recorder import Recorder
from tests.support.recorder import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")
AWAITING_QR, AWAITING_PERSON = SessionStatus.AWAITING_QR, SessionStatus.AWAITING_PERSON


@asynccontextmanager
async def opening(driver, host):
    session = await driver.open(host)
    try:
        yield session
    finally:
        await session.close()


@pytest.fixture
def host():
    return Recorder()


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def unlinked(whatsapp):
    yield
    await whatsapp.log_out(OWN)


async def shown(host, kind):
    await eventually(lambda: host.challenge and host.challenge.kind == kind)
    return host.shown.data.decode()


async def test_qr_codes_rotate_until_one_is_scanned_and_are_never_logged(driver, whatsapp, host, caplog):
    caplog.set_level(logging.DEBUG)
    async with opening(driver, host) as session:
        first = await shown(host, "qr")
        old = host.challenge
        assert old.expires_at
        await session.answer(old.id, "", resend=True)
        second = await eventually(lambda: host.shown.data.decode() if host.shown.data.decode() != first else None)
        assert host.challenge.id != old.id
        assert await whatsapp.scan(second, OWN)
        await eventually(lambda: host.status is READY)
        assert host.identity == OWN
    said = [*host.lines, *(reason for _, reason in host.reports), caplog.text, repr(host.shown), repr(host.challenge)]
    assert not [text for text in said if first in text or second in text]


async def test_a_pairing_code_is_typed_into_the_phone(driver, whatsapp):
    host = Recorder(login="pairing", phone=OWN)
    async with opening(driver, host):
        code = await shown(host, "code_to_enter")
        assert len(code) == 9
        assert code[4] == "-"
        assert await whatsapp.enter_pairing_code(code, OWN)
        await eventually(lambda: host.status is READY)
    assert not [line for line in [*host.lines, *(r for _, r in host.reports)] if code in line]


async def test_a_passkey_needs_a_person_who_is_shown_the_page(driver, whatsapp, host, settings):
    driver._settings = settings.model_copy(update={"load_seconds": 2})
    await whatsapp.put_number(OWN, passkey=True)
    try:
        async with opening(driver, host):
            await whatsapp.scan(await shown(host, "qr"), OWN)
            await eventually(lambda: host.status is AWAITING_PERSON)
            assert "passkey" in host.reports[-1][1]
            assert host.shown.kind == "image/png"
            assert host.shown.data.startswith(b"\x89PNG")
    finally:
        driver._settings = settings
        await whatsapp.put_number(OWN, passkey=False)


@pytest.mark.parametrize("words", [("terms", "blocked"), ("unknown", "does not know")])
async def test_any_other_screen_needs_a_person_too(driver, whatsapp, host, settings, words):
    screen, word = words
    driver._settings = settings.model_copy(update={"load_seconds": 2})
    await whatsapp.set_faults(screen={"show": screen, "times": 1})
    try:
        async with opening(driver, host):
            await eventually(lambda: host.status is AWAITING_PERSON)
            assert word in host.reports[-1][1]
            assert host.shown.kind == "image/png"
    finally:
        driver._settings = settings


async def test_who_is_unlinked_on_the_phone_is_logged_out_with_the_reason(driver, whatsapp, host):
    async with opening(driver, host):
        await whatsapp.scan(await shown(host, "qr"), OWN)
        await eventually(lambda: host.status is READY)
        await whatsapp.log_out(OWN, "account_locked")
        await eventually(lambda: host.status is SessionStatus.LOGGED_OUT)
        assert "account_locked" in host.reports[-1][1]
    async with opening(driver, host):  # a person logs in again: a fresh profile, a new code
        await eventually(lambda: host.status is AWAITING_QR)


async def test_who_was_unlinked_while_nobody_was_there_is_logged_out_too(driver, whatsapp, host):
    async with opening(driver, host):
        await whatsapp.scan(await shown(host, "qr"), OWN)
        await eventually(lambda: host.status is READY)
    await whatsapp.log_out(OWN, "account_locked")
    async with opening(driver, host):
        await eventually(lambda: host.status is SessionStatus.LOGGED_OUT)
        assert "account_locked" in host.reports[-1][1]
        assert AWAITING_QR not in [status for status, _ in host.reports[host.reports.index((READY, "")) :]]


async def test_codes_nobody_uses_end_and_give_the_memory_back(driver, host, settings):
    driver._settings = settings.model_copy(update={"login_seconds": 1})
    try:
        async with opening(driver, host) as session:
            await eventually(lambda: host.status is SessionStatus.LOGGED_OUT)
            assert "nobody" in host.reports[-1][1]
            assert session.life.browser.browser is None
    finally:
        driver._settings = settings


async def test_a_saved_page_pins_the_version(driver, host, settings, tmp_path):
    saved = tmp_path / "index.html"
    saved.write_text((PAGE / "index.html").read_text("utf-8").replace("<title>WhatsApp", "<title>Pinned"), "utf-8")
    driver._settings = settings.model_copy(update={"page_file": saved})
    try:
        async with opening(driver, host) as session:
            await shown(host, "qr")
            assert await session.life.browser.browser.page.title() == "Pinned"
    finally:
        driver._settings = settings


async def test_functions_that_the_page_lacks_make_it_degraded(driver, whatsapp, host):
    await whatsapp.set_faults(missing={"names": ["queryWidExists", "handleChatSimpleReceipt"]})
    async with opening(driver, host):
        await whatsapp.scan(await shown(host, "qr"), OWN)
        await eventually(lambda: host.status is SessionStatus.DEGRADED)
        assert "handleChatSimpleReceipt" in host.reports[-1][1]


async def test_logging_out_unlinks_the_device(driver, whatsapp, host):
    async with opening(driver, host) as session:
        await whatsapp.scan(await shown(host, "qr"), OWN)
        await eventually(lambda: host.status is READY)
        await session.log_out()
    assert OWN not in [one["phone"] for one in await whatsapp.devices()]


async def test_a_logout_is_told_also_where_the_bus_is_away_as_it_happens(driver, whatsapp, host):
    remember, tries = host.remember, []

    async def away(key, value):
        tries.append(key)
        if len(tries) < 3:
            raise Unavailable("NATS is away", after_seconds=0.1)
        await remember(key, value)

    async with opening(driver, host):
        await whatsapp.scan(await shown(host, "qr"), OWN)
        await eventually(lambda: host.status is READY)
        host.remember = away
        await whatsapp.log_out(OWN)
        await eventually(lambda: host.status is SessionStatus.LOGGED_OUT)
    assert len(tries) == 3
