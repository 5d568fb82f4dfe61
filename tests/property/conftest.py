"""Property tests: hypothesis drives the state machines of campaign, row and session on a real NATS and a real store."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.property.stage import Stage
from tests.support.servers import NatsServer

_COMMON = {
    "deadline": None,
    "print_blob": True,
    "database": None,
    "phases": [Phase.generate],  # a step waits for real servers: what failed is printed as it was, not made smaller
    "suppress_health_check": list(HealthCheck),
    "verbosity": Verbosity.normal,
}
settings.register_profile("kurir-ci", **_COMMON)
settings.register_profile("kurir-full", **_COMMON)
settings.register_profile("kurir-shrink", **{**_COMMON, "phases": [Phase.generate, Phase.shrink]})
_FULL_TIMES = 4
_SEED = "hypothesis-seed"

Play = Callable[..., None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the long form its time, also where the machine is busy."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture
def full(request: pytest.FixtureRequest) -> bool:
    """Return whether this is the long form: `--full`, or the profile `kurir-full`."""
    profile = request.config.getoption("--hypothesis-profile", None)
    return bool(request.config.getoption("--full", default=False)) or profile == "kurir-full"


@pytest.fixture
def play(request: pytest.FixtureRequest, full: bool) -> Play:
    """Return what runs a machine: `play(factory, examples=…, steps=…)`, four times as many examples in the long form."""
    given = request.config.getoption("--hypothesis-seed", None)
    number = int(given) if given not in (None, "random") else secrets.randbelow(1 << 32)
    profile = settings.get_profile("kurir-shrink" if _shrinking(request) else "kurir-full" if full else "kurir-ci")

    def run(machine: Callable[[], RuleBasedStateMachine], *, examples: int, steps: int) -> None:
        request.node.user_properties.append((_SEED, number))
        many = examples * _FULL_TIMES if full else examples
        wanted = settings(profile, max_examples=many, stateful_step_count=steps)
        try:
            run_state_machine_as_test(seed(number)(machine), settings=wanted)
        except BaseException as error:
            error.add_note(f"repeat it with --hypothesis-seed={number} (one test per seed)")
            raise

    return run


def _shrinking(request: pytest.FixtureRequest) -> bool:
    return request.config.getoption("--hypothesis-profile", None) == "kurir-shrink"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the seeds: a race that was seen once can be looked for again."""
    for reports in terminalreporter.stats.values():
        for one in reports:
            found = dict(getattr(one, "user_properties", ())).get(_SEED)
            if found is not None and one.when == "call":
                terminalreporter.write_line(f"{one.nodeid.rpartition('/')[2]} --{_SEED}={found}")


@pytest.fixture
def stage(tmp_path: Path, mongo_url: str, fresh_db: str) -> Iterator[Stage]:
    """Run the campaigns service with its loops in the test's hand, on a NATS of its own."""
    server = NatsServer(tmp_path / "nats")
    server.start()
    made = Stage(server.url, mongo_url, fresh_db)
    try:
        made.open()
        yield made
    finally:
        made.close()
        server.stop()
