"""Faults are done to a whole platform. The short form runs in `make test`; `--full` (`make faults`) is the long one."""

import random
from collections.abc import Callable

import pytest

from tests.e2e.conftest import kurir
from tests.support import crash_table

__all__ = ["kurir"]

pytest.register_assert_rewrite("tests.support.crash", "tests.support.crash_stories")  # a red one says what it saw

_seeds: dict[str, object] = {}
_crashes: dict[str, str] = {}
"""Crash case → `<deliveries> <state>`, of tests that passed that far."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--full` adds what takes minutes; `--faults-seed N` repeats a random run."""
    group = parser.getgroup("faults")
    group.addoption("--full", action="store_true", default=False, help="the long form of tests/faults")
    group.addoption("--faults-seed", type=int, default=None, help="repeat the random faults of that seed")


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker."""
    config.addinivalue_line("markers", "full: only in the long form of the faults (--full)")
    config.addinivalue_line("markers", "short: only in the short form: the long one does more of the same")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what belongs to the other form."""
    other = "short" if _full(config) else "full"
    dropped = [item for item in items if item.get_closest_marker(other)]
    config.hook.pytest_deselected(items=dropped)
    items[:] = [item for item in items if item not in dropped]


def _full(config: pytest.Config) -> bool:
    return bool(config.getoption("--full", default=False))  # unknown where another folder was asked for first


@pytest.fixture(scope="session")
def full(pytestconfig: pytest.Config) -> bool:
    """True in the long form."""
    return _full(pytestconfig)


@pytest.fixture
def rounds(full: bool) -> Callable[[int, int], int]:
    """`rounds(1, 3)` is 1 in the short form and 3 in the long one."""
    return lambda short, long: long if full else short


@pytest.fixture
def seed(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> int:
    """Seed of this test's random faults: told where it fails, and at the end of the run."""
    given = request.config.getoption("--faults-seed", default=None)
    chosen = random.SystemRandom().randrange(10**6) if given is None else given
    print(f"repeat with: --faults-seed {chosen}")  # shown with a failure
    record_property("faults-seed", chosen)
    return chosen


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Collect the seeds and what was seen at crash points, also from other processes."""
    for name, value in report.user_properties:
        if name == "faults-seed":
            _seeds[report.nodeid] = value
        elif name == "crash" and report.when == "teardown":
            _crashes.update([value])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the seeds, and write down what was seen where every crash point was."""
    for test, chosen in _seeds.items():
        terminalreporter.write_line(f"seed {chosen}: {test}")
    if crash_table.write(_crashes):
        terminalreporter.write_line(f"crash points: {len(_crashes)}, all as {crash_table.PAGE.name} says")
