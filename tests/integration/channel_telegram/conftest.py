"""The practice Telegram in a process of its own, and drivers that log in there."""

from pathlib import Path

import pytest
from channel_telegram.channel import TelegramChannel
from channel_telegram.settings import Settings
from practice.telegram.process import running

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
