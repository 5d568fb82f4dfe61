"""The practice mail system in a process of its own, for tests and for local use."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from practice.client import MailClient
from practice.mail.platform import Ports

START_SECONDS = 30
STOP_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Running:
    """A platform in another process: its ports and a client of its API."""

    ports: Ports
    client: MailClient
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
async def running(**options: Any) -> AsyncIterator[Running]:
    """Run the platform in a subprocess until the block ends; options are those of the command line.

    Raises RuntimeError when it does not come up (a port is taken); its own error is on stderr.
    """
    command = [sys.executable, "-m", "practice.mail", *arguments(options)]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    try:
        ports = await _ports(process)
        async with MailClient(ports.api_url) as client:
            yield Running(ports, client, process)
    finally:
        await stop(process)


async def _ports(process: Process) -> Ports:
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), START_SECONDS)
    if not line:
        raise RuntimeError("the practice mail system did not start")
    given = json.loads(line)
    given.pop("api_url")
    return Ports(**given)


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
