"""Fixtures every test may use. Unit tests start no server; everything else runs on the real NATS and the real store."""

import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parents[1]))  # `tests.support` is importable from every folder

from servicekit.bus import Bus
from servicekit.secrets import generate_key
from servicekit.settings import ServiceSettings

from tests.support.platform import Platform
from tests.support.servers import NatsServer, StoreServer, drop_database

settings.register_profile(
    "kurir", deadline=None, print_blob=True
)  # a busy machine is no failure; a failure can be repeated
settings.load_profile("kurir")

_platform = Platform()
_SERVERLESS = ("tests/unit", "tests/contract")


def pytest_configure(config: pytest.Config) -> None:
    """Start the shared servers in the controlling process, unless only tests that need none were asked for."""
    if hasattr(config, "workerinput") or config.option.collectonly or config.option.help:
        return
    root = config.rootpath
    asked = [str(Path(arg.split("::")[0]).resolve().relative_to(root)) for arg in config.args if _inside(arg, root)]
    if not asked or not all(arg.startswith(_SERVERLESS) for arg in asked):
        _platform.nats()
        _platform.mongo()


def _inside(arg: str, root: Path) -> bool:
    return Path(arg.split("::", maxsplit=1)[0]).resolve().is_relative_to(root)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say on what the tests run."""
    return _platform.lines or ["servers: none were needed yet"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say it again at the end: with -q there is no header."""
    for line in _platform.lines:
        terminalreporter.write_line(line)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what was started."""
    if not hasattr(config, "workerinput"):
        _platform.stop()


@pytest.fixture(scope="session")
def nats_url() -> str:
    """The shared NATS server. For streams of your own take `fresh_nats`: others use this one at the same time."""
    return _platform.nats()


@pytest.fixture(scope="session")
def mongo_url() -> str:
    """The shared store."""
    return _platform.mongo()


@pytest.fixture
def fresh_db(mongo_url: str) -> Iterator[str]:
    """Name of a database of this test's own."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield name
    drop_database(mongo_url, name)


@pytest.fixture
def fresh_nats(tmp_path: Path) -> Iterator[NatsServer]:
    """A NATS server of this test's own, to be killed, frozen and restarted (same port, same folder)."""
    server = NatsServer(tmp_path / "nats")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def fresh_store(tmp_path: Path) -> Iterator[StoreServer]:
    """A store of this test's own, to be killed and restarted."""
    server = StoreServer(tmp_path / "store")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def service_settings() -> ServiceSettings:
    """Settings with good keys and no server; copy with `model_copy(update=…)`."""
    return ServiceSettings(
        service="test",
        sealing_keys=generate_key(),
        address_hmac_keys="practice-address-key",
        jwt_secret="practice-jwt-secret-of-more-than-32-characters",
        service_token="practice-service-token",
        practice=True,
    )


@pytest.fixture
async def bus(fresh_nats: NatsServer, service_settings: ServiceSettings) -> AsyncIterator[Bus]:
    """A connected bus on a NATS server of this test's own; declare subscriptions before `await bus.start()` yourself."""
    made = Bus(service_settings.model_copy(update={"nats_url": fresh_nats.url}))
    await made.start()
    await made.wait_connected()
    yield made
    await made.stop()
