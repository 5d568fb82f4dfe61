"""The practice WhatsApp, one process for a file of tests, and accounts linked to it in a real browser.

A browser takes a second or two of both cores to start: `linked` is one session for all tests of a file that do it no
harm; `link` opens one of the test's own.
"""

import itertools
import json
import subprocess
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from channel_whatsapp.channel import WhatsAppChannel
from channel_whatsapp.settings import Settings
from contracts.commands import SendMessage
from contracts.state import SessionStatus
from practice.whatsapp.client import WhatsAppPractice

from tests.integration.channel_whatsapp.recorder import Recorder
from tests.support.recorder import Attempt, eventually

READY = SessionStatus.READY
SHARED, OWN = "+628110000001", "+628110000002"
"""The numbers of the session a file shares, and of a test's own."""
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def practice():
    """The ports of the practice process."""
    command = [sys.executable, "-m", "practice.whatsapp"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield json.loads(process.stdout.readline())
        process.terminate()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whatsapp(practice):
    """A client of its API."""
    async with WhatsAppPractice(practice["api_url"]) as client:
        await client.put_number(SHARED, name="Toko")
        await client.put_number(OWN, name="Toko Dua")
        await client.put_range("+628120000000", 300, acts="receive")
        yield client


@pytest.fixture(scope="module")
def settings(practice, tmp_path_factory):
    return Settings(
        page_url=practice["page_url"],
        profiles=tmp_path_factory.mktemp("profiles"),
        browser_sandbox=False,
        restart_seconds=0.2,
        refused_wait_seconds=0.5,
        beat_every_seconds=1,
        beat_timeout_seconds=4,
        send_timeout_seconds=10,
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def driver(settings):
    made = WhatsAppChannel(settings)
    yield made
    await made.close()


@asynccontextmanager
async def opened(driver, whatsapp, host, phone):
    """Open a session and scan its QR code where it shows one; closed at the end of the block."""
    session = await driver.open(host)
    try:
        await eventually(lambda: host.status in {READY, SessionStatus.AWAITING_QR}, 60)
        if host.status is SessionStatus.AWAITING_QR:
            await whatsapp.scan(host.shown.data.decode(), phone)
        await eventually(lambda: host.status is READY, 60)
        yield session
    finally:
        await session.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def linked(driver, whatsapp):
    """A ready session and its host, shared by the tests of a file."""
    host = Recorder("shared")
    async with opened(driver, whatsapp, host, SHARED) as session:
        yield session, host


@pytest_asyncio.fixture(loop_scope="module")
async def link(driver, whatsapp):
    """A way to open a session of the test's own, for `async with`."""
    yield lambda host, with_driver=driver: opened(with_driver, whatsapp, host, OWN)
    await whatsapp.log_out(OWN)


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def calm(whatsapp):
    """Every test begins without the faults of the one before."""
    await whatsapp.clear_faults()


@pytest.fixture
def attempt():
    """Make an attempt to send something to a number of its own."""

    def make(text="Halo", to=None, **content):
        n = next(_numbers)
        return Attempt(
            SendMessage.model_validate(
                {
                    "id": f"c{n}",
                    "source": "campaigns",
                    "account_id": "acc",
                    "row": f"row{n}",
                    "batch": "camp.1",
                    "not_after": datetime.now(UTC) + timedelta(hours=1),
                    "to": {"address": to or f"+628120{n:06d}"},
                    "content": {"text": text, **content},
                }
            )
        )

    return make
