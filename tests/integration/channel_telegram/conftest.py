"""The practice Telegram in a process of its own, and drivers that log in there."""

import itertools
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from channel_telegram.channel import TelegramChannel
from channel_telegram.settings import Settings
from practice.telegram.client import TelegramPractice
from practice.telegram.platform import Ports

from tests.integration.channel_telegram.recorder import Recorder
from tests.integration.channel_telegram.world import TelegramWorld
from tests.support.recorder import eventually

_NUMBERS = itertools.count(1)


@dataclass
class Telegram:
    """A practice server: its ports, and a client of its API."""

    ports: Ports
    client: TelegramPractice


@pytest.fixture(scope="module")
def server():
    """One practice server for a file of tests: a code may be sent again after 1 s, a difference holds 5 events."""
    command = [sys.executable, "-m", "practice.telegram", "--resend", "1", "--difference-limit", "5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        given = json.loads(process.stdout.readline())
        given.pop("api_url")
        yield Ports(**given)
        process.terminate()


@pytest.fixture
async def telegram(server):
    """The server as a test may use it: no faults, nothing counted."""
    async with TelegramPractice(server.api_url) as client:
        await client.clear_faults()
        await client.switch(
            deduplicate=True, one_connection_per_key=False, files_dc=0, unoccupied_is_error=False, code_in_chat=False
        )
        await client.reset_counts()
        yield Telegram(server, client)


@pytest.fixture
def me():
    """The number of this test's account; it exists once somebody puts it there."""
    return f"+62811{next(_NUMBERS):07}"


@pytest.fixture
async def to(telegram):
    """A customer nobody has written to."""
    number = next(_NUMBERS)
    phone = f"+62822{number:07}"
    await telegram.client.put_user(phone, name="Pelanggan", username=f"Budi_{number}")
    return phone


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
async def signed_in(telegram, open_session, me):
    """A session that is ready, and its host."""
    host = Recorder(me)
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
