"""Practice platforms in processes of their own, for tests and for local use."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar

from practice.apiclient import ApiClient

START_SECONDS = 30
STOP_SECONDS = 5
P = TypeVar("P")
C = TypeVar("C", bound=ApiClient)


@dataclass(frozen=True, slots=True)
class Running(Generic[P, C]):
    """A platform in another process: its ports and a client of its API."""

    ports: P
    client: C
    process: Process


def arguments(options: dict[str, Any]) -> list[str]:
    """Return `smtp_port=25, allow_plain_auth=True` as command-line arguments."""
    given: list[str] = []
    for name, value in options.items():
        if value is not False and value is not None:
            given.append("--" + name.replace("_", "-"))
            given += [] if value is True else [str(value)]
    return given


@asynccontextmanager
async def run(module: str, ports: type[P], client: type[C], options: dict[str, Any]) -> AsyncIterator[Running[P, C]]:
    """Run a platform in a subprocess until the block ends; options are those of its command line.

    Raises RuntimeError when it does not come up (a port is taken); its own error is on stderr.
    """
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", module, *arguments(options), stdout=PIPE)
    try:
        told = await _told(module, process)
        found = ports(**{one.name: told[one.name] for one in fields(ports)})  # type: ignore[arg-type]
        async with client(told["api_url"]) as api:
            yield Running(found, api, process)
    finally:
        await stop(process)


async def _told(module: str, process: Process) -> dict[str, Any]:
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), START_SECONDS)
    if not line:
        raise RuntimeError(f"{module} did not start")
    return json.loads(line)  # type: ignore[no-any-return]


async def stop(process: Process) -> None:
    """Terminate a process; kill it when it does not end."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
