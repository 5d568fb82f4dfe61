"""Background work goes on after a failure, and the log tells an outage from a bug."""

import asyncio
import contextlib

import pytest
from servicekit import background
from servicekit.errors import Unavailable
from servicekit.health import Health
from structlog.testing import capture_logs


@pytest.mark.parametrize(
    ("error", "level", "event"),
    [
        (Unavailable("store: away"), "warning", "background task waits"),
        (KeyError("a bug"), "error", "background task failed"),
    ],
)
async def test_an_outage_is_one_line_and_a_bug_has_a_traceback(monkeypatch, error, level, event):
    monkeypatch.setattr(background, "FIRST_PAUSE_SECONDS", 0.01)
    failures, done = iter([error]), asyncio.Event()

    async def work() -> None:
        with contextlib.suppress(StopIteration):
            raise next(failures)
        done.set()

    supervisor = background.Supervisor(Health("unit", "1"))
    with capture_logs() as lines:
        supervisor.start([work])
        await asyncio.wait_for(done.wait(), 5)
        await supervisor.stop(1)
    assert [(line["log_level"], line["event"]) for line in lines] == [(level, event)]
    assert ("exc_info" in lines[0]) is (level == "error")
