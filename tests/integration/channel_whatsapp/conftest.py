"""The practice WhatsApp, one process for a whole file of tests, and accounts linked to it in a real browser."""

import itertools
import json
import subprocess
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from channel_whatsapp.channel import WhatsAppChannel
from channel_whatsapp.settings import Settings
from contracts.commands import SendMessage
from contracts.state import SessionStatus
from practice.whatsapp.client import WhatsAppPractice

from tests.integration.channel_whatsapp.recorder import Attempt, Recorder, eventually

PHONE = "+628110000001"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def practice():
    """The process's ports."""
    command = [sys.executable, "-m", "practice.whatsapp", "--qr-seconds", "20"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield json.loads(process.stdout.readline())
        process.terminate()


@pytest.fixture
async def whatsapp(practice):
    """A client of its API; messages, faults and switches of an earlier test are forgotten."""
    async with WhatsAppPractice(practice["api_url"]) as client:
        await client.reset()
        await client.put_number(PHONE, name="Toko")
        await client.put_range("+628120000000", 300, acts="receive")
        yield client
        await client.log_out(PHONE)


@pytest.fixture
def settings(practice, tmp_path_factory):
    return Settings(
        page_url=practice["page_url"],
        profiles=tmp_path_factory.mktemp("profiles"),
        browser_sandbox=False,
        restart_seconds=0.2,
        refused_wait_seconds=0.5,
        settle_seconds=600,
        beat_every_seconds=1,
        beat_timeout_seconds=4,
        send_timeout_seconds=20,
    )


@pytest.fixture
async def driver(settings):
    made = WhatsAppChannel(settings)
    yield made
    await made.close()


@pytest.fixture
def link(driver, whatsapp):
    """Open a session and scan its QR code where it shows one; closed at the end of the block."""

    @asynccontextmanager
    async def linked(host=None, phone=PHONE):
        host = host or Recorder()
        session = await driver.open(host)
        try:
            await eventually(lambda: host.status in (SessionStatus.READY, SessionStatus.AWAITING_QR), 60)
            if host.status is SessionStatus.AWAITING_QR:
                await whatsapp.scan(host.shown.data.decode(), phone)
            await eventually(lambda: host.status is SessionStatus.READY, 60)
            yield session, host
        finally:
            await session.close()

    return linked


@pytest.fixture
def attempt():
    """Make an attempt to send something to a number."""

    def make(text="Halo", to=None, **content):
        n = next(_numbers)
        return Attempt(
            SendMessage.model_validate({
                "id": f"c{n}", "source": "campaigns", "account_id": "acc", "row": f"row{n}", "batch": "camp.1",
                "not_after": datetime.now(UTC) + timedelta(hours=1),
                "to": {"address": to or f"+628120{n:06d}"}, "content": {"text": text, **content},
            })
        )  # fmt: skip

    return make
