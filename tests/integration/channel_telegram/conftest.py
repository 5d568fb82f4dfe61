"""The practice Telegram in a process of its own, and drivers that log in there."""

from pathlib import Path

import pytest
from channel_telegram.channel import TelegramChannel
from channel_telegram.settings import Settings
from practice.telegram.process import running

from tests.integration.channel_telegram.recorder import Recorder, eventually
from tests.integration.channel_telegram.world import TelegramWorld


@pytest.fixture
async def telegram():
    """One practice server for a test: a code may be sent again after 1 s, a difference holds 5 events."""
    async with running(resend=1, difference_limit=5) as platform:
        yield platform


@pytest.fixture
def make_driver(telegram):
    """Return drivers for the practice server."""

    def make(**changes):
        return TelegramChannel(driver_settings(telegram, **changes))

    return make


def driver_settings(telegram, **changes):
    """Return settings that lead to the practice server, quick where a person need not be."""
    ports = telegram.ports
    given = {
        "practice": True, "api_id": 1, "api_hash": "practice", "dc": f"{ports.host}:{ports.port}",
        "server_key_file": Path(ports.key_file), "send_timeout_seconds": 10.0, "reconnect_seconds": 0.2,
        "read_pause_seconds": 0.3, "own_hold_seconds": 4.0,
    }  # fmt: skip
    return Settings(**{**given, **changes})


@pytest.fixture
async def world(telegram):
    """The practice Telegram as the contract's suite needs it."""
    return TelegramWorld(telegram, driver_settings)


@pytest.fixture
async def open_session(make_driver):
    """Open sessions and close them at the end of the test."""
    opened = []

    async def begin(host, driver=None, **changes):
        session = await (driver or make_driver(**changes)).open(host)
        opened.append(session)
        return session

    yield begin
    for session in opened:
        await session.close()


@pytest.fixture
async def signed_in(telegram, open_session):
    """A session that is ready, and its host: the account is `recorder.ME`."""
    host = Recorder()
    return await log_in(telegram, open_session, host), host


async def log_in(telegram, open_session, host, **changes):
    """Log the account of a host in by code."""
    phone = host.account.settings["client_id"]
    await telegram.client.put_user(phone, name="Toko")
    session = await open_session(host, **changes)
    await eventually(lambda: host.status == "awaiting_code", what=f"the question ({host.reports})")
    await session.answer(host.challenge.id, await telegram.client.last_code(phone), resend=False)
    assert host.status == "ready"
    return session
